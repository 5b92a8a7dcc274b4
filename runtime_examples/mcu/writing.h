/* A text behind a prompt, said piece by piece: the part of the Arduino sketch and of the Zephyr sample that knows
   neither. */
#ifndef WRITING_H
#define WRITING_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of UTF-8; they are not a text of their own, and no zero ends them. */
typedef void (*hear_piece)(const char *piece, int32_t bytes);

/* Write `length` tokens behind `prompt` as the model's maker recommends, with the random numbers of `seed`. Returns 0,
   or what text.h says of its functions: NET_TEXT_LONG for a prompt of more than 64 tokens, NET_TEXT_UNKNOWN for one
   with a character that the model does not know. One text at a time: its memory is static. */
int write_text(const char *prompt, uint64_t seed, int32_t length, hear_piece hear);

#ifdef __cplusplus
}
#endif
#endif
