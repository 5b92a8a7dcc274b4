/* See dtype.h. */
#include "dtype.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const struct dtype DTYPES[] = {
    {"float32", "F32", 1, 4, false}, {"uint8", "U8", 2, 1, true},     {"int8", "I8", 3, 1, true},
    {"int16", "I16", 5, 2, true},    {"int32", "I32", 6, 4, true},    {"int64", "I64", 7, 8, true},
    {"bool", "BOOL", 9, 1, false},   {"float16", "F16", 10, 2, false}, {"float64", "F64", 11, 8, false},
};

const struct dtype *dtype_named(const char *name) {
    for (size_t i = 0; name != NULL && i < sizeof DTYPES / sizeof *DTYPES; i++) {
        if (strcmp(DTYPES[i].name, name) == 0) {
            return &DTYPES[i];
        }
    }
    return NULL;
}

/* IEEE 754 binary16. */
static double half(uint16_t bits) {
    int exponent = bits >> 10 & 0x1f;
    double fraction = bits & 0x3ff, sign = bits >> 15 ? -1 : 1;
    if (exponent == 0x1f) {
        return fraction > 0 ? NAN : sign * INFINITY;
    }
    return sign * (exponent > 0 ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

double dtype_read(const struct dtype *dtype, const void *values, size_t at) {
    union {
        float f;
        double d;
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint16_t u16;
        uint8_t u8;
    } value = {.i64 = 0};
    memcpy(&value, (const char *)values + at * dtype->width, dtype->width);
    switch (dtype->element_type) {
    case 1:
        return value.f;
    case 2:
        return value.u8;
    case 3:
        return value.i8;
    case 5:
        return value.i16;
    case 6:
        return value.i32;
    case 7:
        return (double)value.i64;
    case 9:
        return value.u8 != 0;
    case 10:
        return half(value.u16);
    default:
        return value.d;
    }
}

void dtype_write(const struct dtype *dtype, void *values, size_t at, double number) {
    int64_t whole = (int64_t)number;
    memcpy((char *)values + at * dtype->width, &whole,
           dtype->width); /* the low bytes come first: see safetensors.c */
}
