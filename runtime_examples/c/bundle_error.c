/* See bundle_error.h. */
#include "bundle_error.h"

#include <stdarg.h>
#include <stdio.h>

bool fail(struct bundle_error *error, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(error->text, sizeof error->text, format, values);
    va_end(values);
    for (char *at = error->text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            *at = ' '; /* one line, whatever a file or a flag had in it */
        }
    }
    return false;
}
