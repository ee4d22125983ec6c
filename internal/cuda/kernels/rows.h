// What the kernels on rows and single values share: sums over a block, and functions of one value.
#pragma once
#include "kernel.h"

enum { THREADS = 256 };

// reduce sums v over a block of THREADS threads, in one order: a tree within warps, then the warps
// in ascending order. All threads receive the sum.
DEVICE float reduce(float v, float *partial) {
  for (int mask = 16; mask > 0; mask /= 2)
    v += shfl_xor(v, mask);
  if (thread_x() % 32 == 0)
    partial[thread_x() / 32] = v;
  barrier();
  float sum = 0;
  for (int i = 0; i < THREADS / 32; i++)
    sum += partial[i];
  return sum;
}

// reduce64 does the same in float64, as a tree over the threads of a block. partial has THREADS values.
DEVICE double reduce64(double v, double *partial) {
  barrier(); // the memory may be in use
  partial[thread_x()] = v;
  for (int half = THREADS / 2; half > 0; half /= 2) {
    barrier();
    if ((int)thread_x() < half)
      partial[thread_x()] += partial[thread_x() + half];
  }
  barrier();
  return partial[0];
}

enum { GELU_TANH, GELU_ERF, SILU, RELU }; // as tensor.Activation

// sigmoid2: 1/(1+2^-x)
DEVICE float sigmoid2(float x) { return div_(1.0f, 1.0f + exp2_(-x)); }

// erf after Abramowitz and Stegun 7.1.26 would lose four digits; this is the rational approximation
// of W. J. Cody (1969) for |x| ≤ 0.5 and 1 - exp(-x²)·P(t) of Numerical Recipes (1.2e-7) beyond.
DEVICE float erf_(float x) {
  float z = x < 0 ? -x : x;
  if (z < 0.5f) {
    float s = x * x;
    float p = fma_(fma_(fma_(-3.5609843701815385e-2f, s, 6.9963834886191355f), s, 2.1979261618294152e1f), s,
                   2.4266795523053175e2f);
    float q = fma_(fma_(s + 1.5082797630407787e1f, s, 9.1164905404514901e1f), s, 2.1505887586986120e2f);
    return x * div_(p, q);
  }
  float t = div_(1.0f, 1.0f + 0.5f * z);
  float p = 0.17087277f;
  p = fma_(p, t, -0.82215223f);
  p = fma_(p, t, 1.48851587f);
  p = fma_(p, t, -1.13520398f);
  p = fma_(p, t, 0.27886807f);
  p = fma_(p, t, -0.18628806f);
  p = fma_(p, t, 0.09678418f);
  p = fma_(p, t, 0.37409196f);
  p = fma_(p, t, 1.00002368f);
  p = fma_(p, t, -1.26551223f);
  float tail = t * exp2_((p - z * z) * 1.44269504f);
  return x < 0 ? tail - 1.0f : 1.0f - tail;
}

DEVICE float activate(float x, int act) {
  switch (act) {
  case GELU_TANH: // 0.5x(1+tanh u) = x·sigmoid(2u)
    return x * sigmoid2(2.0f * 1.44269504f * 0.7978845608f * fma_(0.044715f * x * x, x, x));
  case GELU_ERF:
    return 0.5f * x * (1.0f + erf_(x * 0.70710678f));
  case SILU:
    return x * sigmoid2(x * 1.44269504f);
  default:
    return x > 0 ? x : 0;
  }
}

// activate_slope: the derivative of activate.
DEVICE float activate_slope(float x, int act) {
  float s;
  switch (act) {
  case GELU_TANH: // with u the argument of tanh and s = sigmoid(2u): s + x·2s(1-s)·u'
    s = sigmoid2(2.0f * 1.44269504f * 0.7978845608f * fma_(0.044715f * x * x, x, x));
    return s + x * 2.0f * s * (1.0f - s) * 0.7978845608f * fma_(3.0f * 0.044715f * x, x, 1.0f);
  case GELU_ERF: // Φ(x) + x·φ(x)
    return 0.5f * (1.0f + erf_(x * 0.70710678f)) + x * 0.39894228f * exp2_(-0.5f * 1.44269504f * x * x);
  case SILU:
    s = sigmoid2(x * 1.44269504f);
    return fma_(x * s, 1.0f - s, s);
  default:
    return x > 0 ? 1.0f : 0.0f;
  }
}

// tanh_: a series near 0, where 1 - 2/(1+e^2|x|) would lose digits.
DEVICE float tanh_(float x) {
  float z = x * x;
  if (z < 0.0625f) {
    float p = fma_(2.1869488536155203e-2f, z, -5.396825396825397e-2f);
    p = fma_(p, z, 0.13333333333333333f);
    p = fma_(p, z, -0.33333333333333333f);
    return fma_(x * z, p, x);
  }
  float t = 1.0f - div_(2.0f, 1.0f + exp2_(2.0f * 1.44269504f * (x < 0 ? -x : x)));
  return x < 0 ? -t : t;
}

// capped: c·tanh(x/c)
DEVICE float capped(float x, float c) { return c * tanh_(div_(x, c)); }
