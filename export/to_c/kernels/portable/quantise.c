/* The largest magnitude of x[0 .. n) and before, as the bits of a float: they grow with it, and those
   of infinity and NaN are larger than all others. */
static uint32_t net_peak(uint32_t peak, const float *restrict x, int n)
{
    for (int i = 0; i < n; ++i) {
        uint32_t bits;
        __builtin_memcpy(&bits, x + i, 4);
        bits &= 0x7fffffffu;
        peak = bits > peak ? bits : peak;
    }
    return peak;
}

/* What an integer stands for, so that the largest magnitude is `levels` of it: 0 where that is below
   1e-30, NaN where it is not finite. */
static float net_unit(uint32_t peak, float levels)
{
    float most;
    __builtin_memcpy(&most, &peak, 4);
    return most < 1e-30f ? 0.0f : peak >= 0x7f800000u ? most - most : most / levels;
}

/* What a float is multiplied with to be an integer. */
static float net_inverse(uint32_t peak, float levels)
{
    float most;
    __builtin_memcpy(&most, &peak, 4);
    return most < 1e-30f || peak >= 0x7f800000u ? 0.0f : levels / most;
}
