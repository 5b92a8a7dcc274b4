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
bool safetensors_open(struct safetensors *file, const struct bundle *bundle, const char *name, struct bundle_error *error);
void safetensors_close(struct safetensors *file);

/* Return the size of a tensor's first or last axis; 0 where it is not there or larger than its file. */
size_t safetensors_axis(const struct safetensors *file, const char *tensor, bool last);

/* Copy a tensor of `count` values of `dtype` ("F32", "I64") of `width` bytes each; the memory is to be freed. */
void *safetensors_copy(const struct safetensors *file, const char *tensor, const char *dtype, size_t width, size_t count,
                       struct bundle_error *error);

#endif
