/* SHA-256 (FIPS 180-4) of bytes in memory. */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>

/* Write the digest of `length` bytes as 64 hexadecimal digits and a NUL. */
void sha256(const unsigned char *data, size_t length, char hexadecimal[65]);

#endif
