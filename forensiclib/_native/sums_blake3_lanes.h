/* BLAKE3 of LANES inputs side by side, one a lane. Included once for each width, with the operations of that width:
   B3V, B3_ADD, B3_XOR, B3_R16, B3_R12, B3_R8, B3_R7, B3_SET, B3_STORE, B3_ROW and the four unpacks. No include guard by intent. */

#define B3_G(a, b, c, d, k)                                  \
    do {                                                     \
        v[a] = B3_ADD(B3_ADD(v[a], v[b]), m[b3_order[r][2 * (k)]]);      \
        v[d] = B3_R16(B3_XOR(v[d], v[a]));                   \
        v[c] = B3_ADD(v[c], v[d]);                           \
        v[b] = B3_R12(B3_XOR(v[b], v[c]));                   \
        v[a] = B3_ADD(B3_ADD(v[a], v[b]), m[b3_order[r][2 * (k) + 1]]);  \
        v[d] = B3_R8(B3_XOR(v[d], v[a]));                    \
        v[c] = B3_ADD(v[c], v[d]);                           \
        v[b] = B3_R7(B3_XOR(v[b], v[c]));                    \
    } while (0)

/* Input i begins at p + i * stride and has ``blocks`` blocks; its chaining value goes to out + 32 * i. ``step`` is 1 where each
   input has the counter one above its neighbour's (chunks), 0 for parents. */
static B3_TARGET void B3_NAME(const uint8_t *p, size_t stride, int blocks, uint64_t counter, int step, uint32_t flags, uint32_t first, uint32_t last, uint8_t *out) {
    B3V h[8], v[16], m[16], low, high, a, b, c, d, e, f, g, z;
    uint32_t words[8][B3_LANES], lows[B3_LANES], highs[B3_LANES];
    int i, k, r;
    for (i = 0; i < B3_LANES; i++) {
        lows[i] = (uint32_t)(counter + (uint64_t)(step * i));
        highs[i] = (uint32_t)((counter + (uint64_t)(step * i)) >> 32);
    }
    low = B3_LOAD(lows), high = B3_LOAD(highs);
    for (i = 0; i < 8; i++) h[i] = B3_SET(b3_iv[i]);
    for (k = 0; k < blocks; k++, p += 64) {
        SUMS_UNROLL(4)
        for (i = 0; i < 4; i++) {
            a = B3_ROW(p + 16 * i, stride), b = B3_ROW(p + stride + 16 * i, stride);
            c = B3_ROW(p + 2 * stride + 16 * i, stride), d = B3_ROW(p + 3 * stride + 16 * i, stride);
            e = B3_LO32(a, b), f = B3_HI32(a, b), g = B3_LO32(c, d), z = B3_HI32(c, d);
            m[4 * i] = B3_LO64(e, g), m[4 * i + 1] = B3_HI64(e, g), m[4 * i + 2] = B3_LO64(f, z), m[4 * i + 3] = B3_HI64(f, z);
        }
        for (i = 0; i < 8; i++) v[i] = h[i];
        for (i = 0; i < 4; i++) v[8 + i] = B3_SET(b3_iv[i]);
        v[12] = low, v[13] = high, v[14] = B3_SET(64), v[15] = B3_SET(flags | (k ? 0 : first) | (k + 1 < blocks ? 0 : last));
        SUMS_UNROLL(7)
        for (r = 0; r < 7; r++) {
            B3_G(0, 4, 8, 12, 0);
            B3_G(1, 5, 9, 13, 1);
            B3_G(2, 6, 10, 14, 2);
            B3_G(3, 7, 11, 15, 3);
            B3_G(0, 5, 10, 15, 4);
            B3_G(1, 6, 11, 12, 5);
            B3_G(2, 7, 8, 13, 6);
            B3_G(3, 4, 9, 14, 7);
        }
        for (i = 0; i < 8; i++) h[i] = B3_XOR(v[i], v[i + 8]);
    }
    for (i = 0; i < 8; i++) B3_STORE(words[i], h[i]);
    for (k = 0; k < B3_LANES; k++)
        for (i = 0; i < 8; i++) sums_put32(out + 32 * k + 4 * i, words[i][k]);
}

#undef B3_G
#undef B3V
#undef B3_LANES
#undef B3_NAME
#undef B3_TARGET
#undef B3_ADD
#undef B3_XOR
#undef B3_R16
#undef B3_R12
#undef B3_R8
#undef B3_R7
#undef B3_SET
#undef B3_LOAD
#undef B3_STORE
#undef B3_ROW
#undef B3_LO32
#undef B3_HI32
#undef B3_LO64
#undef B3_HI64
