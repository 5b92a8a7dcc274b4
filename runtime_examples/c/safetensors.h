/* A safetensors file: the length of a JSON header in 8 little-endian bytes, the header, the data. */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "bundle.h"

struct safetensors {
    const char *name; /* the caller's, for messages */
    char *content;
    const char *data;
    size_t data_bytes;
    struct json *header;
};

/* Open a file of a bundle. Close it in any case. */
bool safetensors_open(struct safetensors *file, const struct bundle *bundle, const char *name,
                      struct bundle_error *error);
void safetensors_close(struct safetensors *file);

enum { MOST_STORED_AXES = MOST_AXES + 1 };

/* Return how many axes a tensor has, and their sizes in `shape`; 0 where it is not there, has no axes or one
 * beyond reason. */
size_t safetensors_shape(const struct safetensors *file, const char *tensor, int64_t shape[MOST_STORED_AXES]);

/* Copy a tensor of this dtype and shape; the memory is to be freed. NULL where it is not there or of another.
 */
void *safetensors_copy(const struct safetensors *file, const char *tensor, const struct dtype *dtype,
                       const int64_t *shape, size_t rank, struct bundle_error *error);

#endif
