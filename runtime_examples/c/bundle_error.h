/* How a function says what went wrong: it returns false or NULL, and leaves one line in the caller's struct
 * bundle_error. */
#ifndef BUNDLE_ERROR_H
#define BUNDLE_ERROR_H

#include <stdbool.h>

/* What was wrong, the value seen, what was expected, what to do. */
struct bundle_error {
    char text[1024];
};

/* Write the line, with control characters made blanks and the end cut where it is too long; always returns
 * false. */
bool fail(struct bundle_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
