/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "config.h"
#include "daemon.h"

int main(int argc, char **argv) {
        _cleanup_config_ struct config config = {};
        struct daemon *daemon = NULL;
        int r;

        r = config_load(argc, argv, &config);
        if (r != 0)
                return r > 0 ? EXIT_SUCCESS : r == -EINVAL ? 2 : EXIT_FAILURE;
        log_level = config.log_level;
        r = daemon_new(&config, &daemon);
        if (r < 0)
                return EXIT_FAILURE;
        r = daemon_run(daemon);
        daemon_free(daemon);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
