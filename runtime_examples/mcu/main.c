/* Check this core by the recorded run, then say what a step takes. Leaves with 1 where the run is off. */
#include "golden.h"
#include "measure.h"
#include "replay.h"
#include "step.h"

_Static_assert(NET_STEP_SCRATCH_BYTES + 2048 <= STACK_BYTES, "the stack is too small for a step: make STACK=…");

int main(void)
{
    const int failed = replay();
    measure();
    return failed ? 1 : 0;
}
