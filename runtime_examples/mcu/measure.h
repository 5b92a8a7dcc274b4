#ifndef MEASURE_H
#define MEASURE_H

/* Print what a step takes: bytes of flash and RAM, and instructions. */
void measure(void);

#endif
