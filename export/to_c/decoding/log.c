
/* ln x of a normal number above 0: x = 2^k (1 + f), and the polynomial of fdlibm's __ieee754_log, whose
   error is below one unit in the last place. */
static double net_text_log(double x)
{
    union { double number; uint64_t bits; } own;
    double k, f, s, z, even, odd, half;
    own.number = x;
    own.bits += UINT64_C(0x3FF0000000000000) - UINT64_C(0x3FE6A09E667F3BCD); /* sqrt(1/2) <= 1 + f */
    k = (double)((int32_t)(own.bits >> 52) - 1023);
    own.bits = (own.bits & UINT64_C(0x000FFFFFFFFFFFFF)) + UINT64_C(0x3FE6A09E667F3BCD);
    f = own.number - 1.0;
    s = f / (2.0 + f);
    z = s * s;
    even = 2.222219843214978396e-01 + z * z * 1.531383769920937332e-01;
    even = z * z * (3.999999999940941908e-01 + z * z * even);
    odd = 1.818357216161805012e-01 + z * z * 1.479819860511658591e-01;
    odd = 2.857142874366239149e-01 + z * z * odd;
    odd = z * (6.666666666666735130e-01 + z * z * odd);
    half = 0.5 * f * f;
    return k * 6.93147180369123816490e-01 -
           ((half - (s * (half + (even + odd)) + k * 1.90821492927058770002e-10)) - f);
}
