/* SPDX-License-Identifier: Apache-2.0 */
/* Text from elsewhere, made fit for JSON and terminals. */
#pragma once

/* In place: every control character and every byte that is not part of well-formed UTF-8 becomes '?'. */
void utf8_clean(char *s);
