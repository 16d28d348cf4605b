"""exp, log, tanh and sigmoid of the package's own, without branches: a compiler vectorizes them.

Each is right to 2 units in the last place, subnormal results included. exp(x) is 2ⁿ·exp(r) with
|r| ≤ ½ log 2 and a polynomial for exp(r); log(x) is n·log 2 + log(m) with √½ ≤ m < √2, where
s = (m − 1)/(m + 1) makes a quick series; tanh(x) is 1 − 2/(exp(2x) + 1), and an approximation by a
polynomial or a ratio of two where that would cancel.
"""

from __future__ import annotations

EXP_FLOAT = r"""
/* 2 to the power of n, if that is an exponent of a normal number. */
static inline float power_of_2_float(int n)
{
    const uint32_t bits = (uint32_t)(n + 127) << 23;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}
/* exp(r) and n, of which exp(x) = 2^n exp(r). */
static inline float exp_parts_float(float x, int *whole)
{
    const float n = rintf(x * 1.44269504f);
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    *whole = n == n ? (int)n : 0; /* nan has no whole part */
    return (y * (r * r) + r) + 1.0f;
}
static inline float fast_exp_float(float x)
{
    int whole;
    const float y = exp_parts_float(x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x, &whole);
    const int half = whole / 2; /* in two steps, as 2 to the n can be subnormal */
    return y * power_of_2_float(half) * power_of_2_float(whole - half);
}
"""

EXP_DOUBLE = r"""
/* 2 to the power of n, if that is an exponent of a normal number. n is unsigned, as what is made of
   nan overflows, which no signed integer may; a negative one is huge. */
static inline double power_of_2_double(uint64_t n)
{
    const uint64_t bits = (n + 1023) << 52;
    double y;
    memcpy(&y, &bits, sizeof y);
    return y;
}
/* exp(r) and n, of which exp(x) = 2^n exp(r). */
static inline double exp_parts_double(double x, uint64_t *whole)
{
    /* Added to 1.5 · 2^52, a number is rounded to a whole one, which is in the last bits. */
    const double shifted = x * 1.4426950408889634 + 0x1.8p52, n = shifted - 0x1.8p52;
    const double r = (x - n * 0.693145751953125) - n * 1.42860682030941723212e-6;
    double y = 1.0 / 6227020800;
    y = y * r + 1.0 / 479001600;
    y = y * r + 1.0 / 39916800;
    y = y * r + 1.0 / 3628800;
    y = y * r + 1.0 / 362880;
    y = y * r + 1.0 / 40320;
    y = y * r + 1.0 / 5040;
    y = y * r + 1.0 / 720;
    y = y * r + 1.0 / 120;
    y = y * r + 1.0 / 24;
    y = y * r + 1.0 / 6;
    y = y * r + 0.5;
    memcpy(whole, &shifted, sizeof *whole);
    *whole -= UINT64_C(0x4338000000000000);
    return (y * (r * r) + r) + 1.0;
}
static inline double fast_exp_double(double x)
{
    uint64_t whole;
    const double y = exp_parts_double(x < -746.0 ? -746.0 : x > 710.0 ? 710.0 : x, &whole);
    const uint64_t half = ((whole + 2048) >> 1) - 1024;
    return y * power_of_2_double(half) * power_of_2_double(whole - half);
}
"""

LOG_FLOAT = r"""
static inline float fast_log_float(float x)
{
    const int subnormal = x < 0x1p-126f;
    const float scaled = subnormal ? x * 0x1p25f : x;
    uint32_t bits; /* unsigned, as those of nan overflow */
    memcpy(&bits, &scaled, sizeof bits);
    bits += 0x3f800000 - 0x3f3504f3;
    const float n = (float)((int)(bits >> 23) - 127 - (subnormal ? 25 : 0));
    bits = (bits & 0x7fffff) + 0x3f3504f3;
    float m;
    memcpy(&m, &bits, sizeof m);
    const float f = m - 1.0f, s = f / (2.0f + f), z = s * s, h = 0.5f * f * f;
    float R = 0.24279078841f;
    R = R * z + 0.28498786688f;
    R = R * z + 0.40000972152f;
    R = (R * z + 0.66666662693f) * z;
    const float near_1 = ((s * (h + R) + n * 9.0580006145e-6f) - h) + f;
    const float y = near_1 + n * 0.693138122559f;
    return x > 0 ? (x < INFINITY ? y : x) : x == 0 ? -INFINITY : (float)NAN;
}
"""

LOG_DOUBLE = r"""
static inline double fast_log_double(double x)
{
    const int subnormal = x < 0x1p-1022;
    const double scaled = subnormal ? x * 0x1p54 : x;
    uint64_t bits; /* unsigned, as those of nan overflow */
    memcpy(&bits, &scaled, sizeof bits);
    bits += INT64_C(0x3ff0000000000000) - INT64_C(0x3fe6a09e00000000);
    const double n = (double)((int)(bits >> 52) - 1023 - (subnormal ? 54 : 0));
    bits = (bits & INT64_C(0xfffffffffffff)) + INT64_C(0x3fe6a09e00000000);
    double m;
    memcpy(&m, &bits, sizeof m);
    const double f = m - 1.0, s = f / (2.0 + f), z = s * s, h = 0.5 * f * f;
    double R = 1.479819860511658591e-01;
    R = R * z + 1.531383769920937332e-01;
    R = R * z + 1.818357216161805012e-01;
    R = R * z + 2.222219843214978396e-01;
    R = R * z + 2.857142874366239149e-01;
    R = R * z + 3.999999999940941908e-01;
    R = (R * z + 6.666666666666735130e-01) * z;
    const double near_1 = ((s * (h + R) + n * 1.90821492927058770002e-10) - h) + f;
    const double y = near_1 + n * 6.93147180369123816490e-01;
    return x > 0 ? (x < INFINITY ? y : x) : x == 0 ? -INFINITY : NAN;
}
"""

TANH_FLOAT = r"""
static inline float fast_tanh_float(float x)
{
    const float size = fabsf(x), z = x * x;
    int n;
    const float y = exp_parts_float(2.0f * (size > 10.0f ? 10.0f : size), &n);
    const float large = 1.0f - 2.0f / (y * power_of_2_float(n) + 1.0f);
    float small = -5.70498872745e-3f;
    small = small * z + 2.06390887954e-2f;
    small = small * z - 5.37397155531e-2f;
    small = small * z + 1.33314422036e-1f;
    small = small * z - 3.33332819422e-1f;
    small = small * z * size + size;
    return copysignf(size < 0.625f ? small : large, x);
}
"""

TANH_DOUBLE = r"""
static inline double fast_tanh_double(double x)
{
    const double size = fabs(x), z = x * x;
    uint64_t n;
    const double y = exp_parts_double(2.0 * (size > 20.0 ? 20.0 : size), &n);
    const double large = 1.0 - 2.0 / (y * power_of_2_double(n) + 1.0);
    double p = -9.64399179425052238628e-1, q = z + 1.12811678491632931402e2;
    p = (p * z - 9.92877231001918586564e1) * z - 1.61468768441708447952e3;
    q = (q * z + 2.23548839060100448583e3) * z + 4.84406305325125486048e3;
    const double small = size + size * z * (p / q);
    return copysign(size < 0.625 ? small : large, x);
}
"""

SIGMOID = r"""
static inline REAL fast_sigmoid_REAL(REAL x)
{
    const REAL e = fast_exp_REAL(x < 0 ? x : -x);
    return (x < 0 ? e : 1) / (1 + e);
}
"""

# What each function needs, in the order in which C has to read it.
FUNCTIONS: dict[str, list[str]] = {
    "fast_exp_float": [EXP_FLOAT],
    "fast_exp_double": [EXP_DOUBLE],
    "fast_log_float": [LOG_FLOAT],
    "fast_log_double": [LOG_DOUBLE],
    "fast_tanh_float": [EXP_FLOAT, TANH_FLOAT],
    "fast_tanh_double": [EXP_DOUBLE, TANH_DOUBLE],
    "fast_sigmoid_float": [EXP_FLOAT, SIGMOID],
    "fast_sigmoid_double": [EXP_DOUBLE, SIGMOID],
}
