/* q[0 .. n) = the integers nearest to x * inverse, of two as near the even one. Added to 3 * 2^22 a
   float has the integer in its last bits. */
static void net_round_8(int8_t *restrict q, const float *restrict x, int n, float inverse)
{
    for (int i = 0; i < n; ++i) {
        const float raised = x[i] * inverse + 12582912.0f;
        int32_t bits;
        __builtin_memcpy(&bits, &raised, 4);
        q[i] = (int8_t)(bits & 0xff);
    }
}
