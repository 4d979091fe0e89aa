/* SPDX-License-Identifier: Apache-2.0 */
/* `top`, full screen. */
#pragma once

#include "view.h"

/* Until somebody wants to leave. An exit status, or 128 + N when signal N ended it. */
int screen_run(struct view *v);
