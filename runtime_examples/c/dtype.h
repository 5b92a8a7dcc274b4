/* The dtypes of tensors: how a bundle, a safetensors file and onnxruntime spell each, and its values as
 * numbers. */
#ifndef DTYPE_H
#define DTYPE_H

#include <stdbool.h>
#include <stddef.h>

struct dtype {
    const char *name, *stored; /* in a contract, and in a safetensors file */
    int element_type;          /* in onnxruntime */
    size_t width;              /* bytes of a value */
    bool integer;
};

/* Return a dtype by its name in a contract; NULL where there is none. */
const struct dtype *dtype_named(const char *name);

/* Read the value at place `at`; true is 1. */
double dtype_read(const struct dtype *dtype, const void *values, size_t at);

/* Write a number that the dtype holds; into integers alone. */
void dtype_write(const struct dtype *dtype, void *values, size_t at, double number);

#endif
