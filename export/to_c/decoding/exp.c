
/* e^x of x <= 0, as of -708 where x is less: |x - k ln 2| <= ln 2 / 2, then Taylor's series, whose
   error is 4e-18 of it there. Less than one unit in the last place off. */
static inline double net_text_exp(double x)
{
    const double shift = 6755399441055744.0; /* 1.5 * 2^52: what is added to it is rounded */
    union { double number; uint64_t bits; } turned, scaled;
    double k, r, q;
    x = -708.0 < x ? x : -708.0;
    turned.number = x * 1.4426950408889634 + shift;
    k = turned.number - shift;
    r = x - k * 6.93147180369123816490e-01; /* exact: 32 bits of ln 2 */
    r = r - k * 1.90821492927058770002e-10;
    q = 1.6059043836821613e-10;
    q = q * r + 2.08767569878681e-09;
    q = q * r + 2.505210838544172e-08;
    q = q * r + 2.755731922398589e-07;
    q = q * r + 2.7557319223985893e-06;
    q = q * r + 2.48015873015873e-05;
    q = q * r + 1.984126984126984e-04;
    q = q * r + 1.3888888888888889e-03;
    q = q * r + 8.333333333333333e-03;
    q = q * r + 4.1666666666666664e-02;
    q = q * r + 1.6666666666666666e-01;
    q = q * r + 0.5;
    scaled.number = 1.0 + (r + r * r * q);
    scaled.bits += turned.bits << 52;
    return scaled.number;
}
