#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>

/* Print what a step takes: bytes of flash and RAM, and instructions. */
void measure(void);

/* The instructions of a call with the numbers from 0 on, the mean of `times` calls. */
uint32_t instructions_of(int (*call)(uint32_t), uint32_t times);

#endif
