/* MD5 (RFC 1321), SHA-1 and SHA-256 (FIPS 180-4) of equally long messages, one in each lane of a vector.
   A template: blockhash.h includes it once for every instruction set, with these defined:
     BH(name)      the function's name for this set       BH_TARGET   its target attribute
     V, LANES      a vector of LANES 32-bit words (or uint32_t), with + ^ & | ~ working on whole vectors
     BH_GROUPS     how many groups of lanes MD5 works on side by side: 2 or 3
     ROL(x, n)     rotate left                            SHR(x, n)   shift right
     SELECT(x,y,z) y where x is set, else z               XOR3, MAJ   parity and majority of three
     ORNOT(x,y,z)  y ^ (x | ~z), MD5's I
     BH_LOAD       loads 16 little-endian words of each lane: (V w[16], const uint8_t *const p[LANES])
     BH_SWAP(x)    the bytes of every word reversed
   Each is undefined again at the end. */

/* The digests of up to LANES states, word by word, in the algorithm's byte order. */
BH_TARGET static void BH(give)(const V *s, int words, int big, int count, uint8_t *out) {
    uint32_t all[8 * LANES];
    int lane, i;
    memcpy(all, s, (size_t)words * sizeof(V));
    for (lane = 0; lane < count; lane++)
        for (i = 0; i < words; i++, out += 4) {
            if (big) bh_put_big(out, all[i * LANES + lane]);
            else bh_put_little(out, all[i * LANES + lane]);
        }
}

BH_TARGET static void BH(start)(V *s, int algorithm) {
    int i;
    for (i = 0; i < bh_words[algorithm]; i++) s[i] = (V){0} + bh_initial[algorithm][i];
}

#define MD5_G(x, y, z) SELECT(z, x, y)
#define MD5_STEP(F, a, b, c, d, word, s, k) \
    a = a + (word + (uint32_t)(k)) + F(b, c, d); \
    a = ROL(a, s) + b;

/* The steps of one round are written once; S is what is done with one step: in one group of lanes, or in two side by side. */
#define MD5_STEPS(S) \
    S(SELECT, a, b, c, d, 0, 7, 0xd76aa478u) S(SELECT, d, a, b, c, 1, 12, 0xe8c7b756u) \
    S(SELECT, c, d, a, b, 2, 17, 0x242070dbu) S(SELECT, b, c, d, a, 3, 22, 0xc1bdceeeu) \
    S(SELECT, a, b, c, d, 4, 7, 0xf57c0fafu) S(SELECT, d, a, b, c, 5, 12, 0x4787c62au) \
    S(SELECT, c, d, a, b, 6, 17, 0xa8304613u) S(SELECT, b, c, d, a, 7, 22, 0xfd469501u) \
    S(SELECT, a, b, c, d, 8, 7, 0x698098d8u) S(SELECT, d, a, b, c, 9, 12, 0x8b44f7afu) \
    S(SELECT, c, d, a, b, 10, 17, 0xffff5bb1u) S(SELECT, b, c, d, a, 11, 22, 0x895cd7beu) \
    S(SELECT, a, b, c, d, 12, 7, 0x6b901122u) S(SELECT, d, a, b, c, 13, 12, 0xfd987193u) \
    S(SELECT, c, d, a, b, 14, 17, 0xa679438eu) S(SELECT, b, c, d, a, 15, 22, 0x49b40821u) \
    S(MD5_G, a, b, c, d, 1, 5, 0xf61e2562u) S(MD5_G, d, a, b, c, 6, 9, 0xc040b340u) \
    S(MD5_G, c, d, a, b, 11, 14, 0x265e5a51u) S(MD5_G, b, c, d, a, 0, 20, 0xe9b6c7aau) \
    S(MD5_G, a, b, c, d, 5, 5, 0xd62f105du) S(MD5_G, d, a, b, c, 10, 9, 0x02441453u) \
    S(MD5_G, c, d, a, b, 15, 14, 0xd8a1e681u) S(MD5_G, b, c, d, a, 4, 20, 0xe7d3fbc8u) \
    S(MD5_G, a, b, c, d, 9, 5, 0x21e1cde6u) S(MD5_G, d, a, b, c, 14, 9, 0xc33707d6u) \
    S(MD5_G, c, d, a, b, 3, 14, 0xf4d50d87u) S(MD5_G, b, c, d, a, 8, 20, 0x455a14edu) \
    S(MD5_G, a, b, c, d, 13, 5, 0xa9e3e905u) S(MD5_G, d, a, b, c, 2, 9, 0xfcefa3f8u) \
    S(MD5_G, c, d, a, b, 7, 14, 0x676f02d9u) S(MD5_G, b, c, d, a, 12, 20, 0x8d2a4c8au) \
    S(XOR3, a, b, c, d, 5, 4, 0xfffa3942u) S(XOR3, d, a, b, c, 8, 11, 0x8771f681u) \
    S(XOR3, c, d, a, b, 11, 16, 0x6d9d6122u) S(XOR3, b, c, d, a, 14, 23, 0xfde5380cu) \
    S(XOR3, a, b, c, d, 1, 4, 0xa4beea44u) S(XOR3, d, a, b, c, 4, 11, 0x4bdecfa9u) \
    S(XOR3, c, d, a, b, 7, 16, 0xf6bb4b60u) S(XOR3, b, c, d, a, 10, 23, 0xbebfbc70u) \
    S(XOR3, a, b, c, d, 13, 4, 0x289b7ec6u) S(XOR3, d, a, b, c, 0, 11, 0xeaa127fau) \
    S(XOR3, c, d, a, b, 3, 16, 0xd4ef3085u) S(XOR3, b, c, d, a, 6, 23, 0x04881d05u) \
    S(XOR3, a, b, c, d, 9, 4, 0xd9d4d039u) S(XOR3, d, a, b, c, 12, 11, 0xe6db99e5u) \
    S(XOR3, c, d, a, b, 15, 16, 0x1fa27cf8u) S(XOR3, b, c, d, a, 2, 23, 0xc4ac5665u) \
    S(ORNOT, a, b, c, d, 0, 6, 0xf4292244u) S(ORNOT, d, a, b, c, 7, 10, 0x432aff97u) \
    S(ORNOT, c, d, a, b, 14, 15, 0xab9423a7u) S(ORNOT, b, c, d, a, 5, 21, 0xfc93a039u) \
    S(ORNOT, a, b, c, d, 12, 6, 0x655b59c3u) S(ORNOT, d, a, b, c, 3, 10, 0x8f0ccc92u) \
    S(ORNOT, c, d, a, b, 10, 15, 0xffeff47du) S(ORNOT, b, c, d, a, 1, 21, 0x85845dd1u) \
    S(ORNOT, a, b, c, d, 8, 6, 0x6fa87e4fu) S(ORNOT, d, a, b, c, 15, 10, 0xfe2ce6e0u) \
    S(ORNOT, c, d, a, b, 6, 15, 0xa3014314u) S(ORNOT, b, c, d, a, 13, 21, 0x4e0811a1u) \
    S(ORNOT, a, b, c, d, 4, 6, 0xf7537e82u) S(ORNOT, d, a, b, c, 11, 10, 0xbd3af235u) \
    S(ORNOT, c, d, a, b, 2, 15, 0x2ad7d2bbu) S(ORNOT, b, c, d, a, 9, 21, 0xeb86d391u)

#define MD5_ONE(F, x, y, z, t, i, s, k) MD5_STEP(F, x, y, z, t, w[i], s, k)
#define MD5_TWO(F, x, y, z, t, i, s, k) \
    MD5_STEP(F, x, y, z, t, w[i], s, k) MD5_STEP(F, x##2, y##2, z##2, t##2, w2[i], s, k)
#define MD5_THREE(F, x, y, z, t, i, s, k) MD5_TWO(F, x, y, z, t, i, s, k) MD5_STEP(F, x##3, y##3, z##3, t##3, w3[i], s, k)

BH_TARGET static void BH(md5_one)(V *s, const V *w) {
    V a = s[0], b = s[1], c = s[2], d = s[3];
    MD5_STEPS(MD5_ONE)
    s[0] = s[0] + a; s[1] = s[1] + b; s[2] = s[2] + c; s[3] = s[3] + d;
}

#if LANES > 1
/* A step waits for the one before; further groups of lanes use the time. */
BH_TARGET static void BH(md5_many)(V s[BH_GROUPS][4], V wide[BH_GROUPS][16]) {
    const V *w = wide[0], *w2 = wide[1];
    V a = s[0][0], b = s[0][1], c = s[0][2], d = s[0][3];
    V a2 = s[1][0], b2 = s[1][1], c2 = s[1][2], d2 = s[1][3];
#if BH_GROUPS == 3
    const V *w3 = wide[2];
    V a3 = s[2][0], b3 = s[2][1], c3 = s[2][2], d3 = s[2][3];
    MD5_STEPS(MD5_THREE)
    s[2][0] = s[2][0] + a3; s[2][1] = s[2][1] + b3; s[2][2] = s[2][2] + c3; s[2][3] = s[2][3] + d3;
#else
    MD5_STEPS(MD5_TWO)
#endif
    s[0][0] = s[0][0] + a; s[0][1] = s[0][1] + b; s[0][2] = s[0][2] + c; s[0][3] = s[0][3] + d;
    s[1][0] = s[1][0] + a2; s[1][1] = s[1][1] + b2; s[1][2] = s[1][2] + c2; s[1][3] = s[1][3] + d2;
}

/* Blocks 4 KiB apart fall into one set of the first cache. Where they begin with a line, each line is read once, so that does not
   matter; where not, each would be fetched twice, so some chunks of each block are copied first, an odd number of lines apart.
   ``count`` blocks, more than LANES and no more than all groups hold; ``limit`` bytes are there in all. */
BH_TARGET static void BH(md5_side)(const uint8_t *data, size_t limit, size_t size, size_t count, const V *pad, uint8_t *out) {
    const uint8_t *p[BH_GROUPS * LANES], *from[BH_GROUPS * LANES];
    BH_ALIGNED uint8_t tile[BH_GROUPS * LANES][BH_TILE + 64];
    V s[BH_GROUPS][4], w[BH_GROUPS][16];
    size_t at, lane, next = BH_GROUPS * LANES * size;
    const int tiled = (uintptr_t)data % 64 && size >= 2048;
    int g;
    for (lane = 0; lane < BH_GROUPS * LANES; lane++) p[lane] = from[lane] = data + (lane < count ? lane * size : 0);
    for (g = 0; g < BH_GROUPS; g++) BH(start)(s[g], BH_MD5);
    for (at = 0; at <= size; at += 64) {
        if (tiled && at % BH_TILE == 0 && at < size) {
            size_t take = size - at < BH_TILE ? size - at : BH_TILE;
            for (lane = 0; lane < BH_GROUPS * LANES; lane++) {
                memcpy(tile[lane], from[lane] + at, take);
                p[lane] = tile[lane];
            }
        }
        for (g = 0; g < BH_GROUPS; g++) {
            if (at < size) BH_LOAD(w[g], p + g * LANES);
            else memcpy(w[g], pad, sizeof w[g]);
        }
        for (lane = 0; lane < BH_GROUPS * LANES; lane++, next += 64) {
            p[lane] += 64;
            if (next < limit) BH_AHEAD(data + next);
        }
        BH(md5_many)(s, w);
    }
    for (g = 0; g < BH_GROUPS && count; g++) {
        size_t take = count < LANES ? count : LANES;
        BH(give)(s[g], 4, 0, (int)take, out);
        out += take * 16;
        count -= take;
    }
}
#endif

#define SHA1_MORE(t) (w[(t) & 15] = ROL(XOR3(w[((t) + 13) & 15], w[((t) + 8) & 15], w[((t) + 2) & 15]) ^ w[(t) & 15], 1))
#define SHA1_STEP(F, a, b, c, d, e, word, k) \
    e = e + (word + (uint32_t)(k)) + F(b, c, d); \
    e = e + ROL(a, 5); \
    b = ROL(b, 30);
#define SHA1_FIVE(F, W, t, k) \
    SHA1_STEP(F, a, b, c, d, e, W(t), k) SHA1_STEP(F, e, a, b, c, d, W(t + 1), k) SHA1_STEP(F, d, e, a, b, c, W(t + 2), k) \
    SHA1_STEP(F, c, d, e, a, b, W(t + 3), k) SHA1_STEP(F, b, c, d, e, a, W(t + 4), k)
#define SHA1_WORD(t) w[t]

/* The words are overwritten with the schedule. */
BH_TARGET static void BH(sha1_one)(V *s, V *w) {
    V a = s[0], b = s[1], c = s[2], d = s[3], e = s[4];
    SHA1_FIVE(SELECT, SHA1_WORD, 0, 0x5a827999u) SHA1_FIVE(SELECT, SHA1_WORD, 5, 0x5a827999u) SHA1_FIVE(SELECT, SHA1_WORD, 10, 0x5a827999u)
    SHA1_STEP(SELECT, a, b, c, d, e, w[15], 0x5a827999u)
    SHA1_STEP(SELECT, e, a, b, c, d, SHA1_MORE(16), 0x5a827999u) SHA1_STEP(SELECT, d, e, a, b, c, SHA1_MORE(17), 0x5a827999u)
    SHA1_STEP(SELECT, c, d, e, a, b, SHA1_MORE(18), 0x5a827999u) SHA1_STEP(SELECT, b, c, d, e, a, SHA1_MORE(19), 0x5a827999u)
    SHA1_FIVE(XOR3, SHA1_MORE, 20, 0x6ed9eba1u) SHA1_FIVE(XOR3, SHA1_MORE, 25, 0x6ed9eba1u)
    SHA1_FIVE(XOR3, SHA1_MORE, 30, 0x6ed9eba1u) SHA1_FIVE(XOR3, SHA1_MORE, 35, 0x6ed9eba1u)
    SHA1_FIVE(MAJ, SHA1_MORE, 40, 0x8f1bbcdcu) SHA1_FIVE(MAJ, SHA1_MORE, 45, 0x8f1bbcdcu)
    SHA1_FIVE(MAJ, SHA1_MORE, 50, 0x8f1bbcdcu) SHA1_FIVE(MAJ, SHA1_MORE, 55, 0x8f1bbcdcu)
    SHA1_FIVE(XOR3, SHA1_MORE, 60, 0xca62c1d6u) SHA1_FIVE(XOR3, SHA1_MORE, 65, 0xca62c1d6u)
    SHA1_FIVE(XOR3, SHA1_MORE, 70, 0xca62c1d6u) SHA1_FIVE(XOR3, SHA1_MORE, 75, 0xca62c1d6u)
    s[0] = s[0] + a; s[1] = s[1] + b; s[2] = s[2] + c; s[3] = s[3] + d; s[4] = s[4] + e;
}

#define SHA256_S0(x) XOR3(ROL(x, 30), ROL(x, 19), ROL(x, 10))
#define SHA256_S1(x) XOR3(ROL(x, 26), ROL(x, 21), ROL(x, 7))
#define SHA256_R0(x) XOR3(ROL(x, 25), ROL(x, 14), SHR(x, 3))
#define SHA256_R1(x) XOR3(ROL(x, 15), ROL(x, 13), SHR(x, 10))
#define SHA256_MORE(i) \
    (w[i] = w[i] + SHA256_R0(w[((i) + 1) & 15]) + (w[((i) + 9) & 15] + SHA256_R1(w[((i) + 14) & 15])))
#define SHA256_STEP(a, b, c, d, e, f, g, h, word, k) \
    h = h + (word + (k)) + SELECT(e, f, g) + SHA256_S1(e); \
    d = d + h; \
    h = h + MAJ(a, b, c) + SHA256_S0(a);
#define SHA256_EIGHT(W, i, k) \
    SHA256_STEP(a, b, c, d, e, f, g, h, W(i), (k)[i]) SHA256_STEP(h, a, b, c, d, e, f, g, W(i + 1), (k)[i + 1]) \
    SHA256_STEP(g, h, a, b, c, d, e, f, W(i + 2), (k)[i + 2]) SHA256_STEP(f, g, h, a, b, c, d, e, W(i + 3), (k)[i + 3]) \
    SHA256_STEP(e, f, g, h, a, b, c, d, W(i + 4), (k)[i + 4]) SHA256_STEP(d, e, f, g, h, a, b, c, W(i + 5), (k)[i + 5]) \
    SHA256_STEP(c, d, e, f, g, h, a, b, W(i + 6), (k)[i + 6]) SHA256_STEP(b, c, d, e, f, g, h, a, W(i + 7), (k)[i + 7])

BH_TARGET static void BH(sha256_one)(V *s, V *w) {
    V a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
    int t;
    SHA256_EIGHT(SHA1_WORD, 0, bh_k256) SHA256_EIGHT(SHA1_WORD, 8, bh_k256)
    for (t = 16; t < 64; t += 16) {
        SHA256_EIGHT(SHA256_MORE, 0, bh_k256 + t) SHA256_EIGHT(SHA256_MORE, 8, bh_k256 + t)
    }
    s[0] = s[0] + a; s[1] = s[1] + b; s[2] = s[2] + c; s[3] = s[3] + d;
    s[4] = s[4] + e; s[5] = s[5] + f; s[6] = s[6] + g; s[7] = s[7] + h;
}

#undef MD5_G
#undef MD5_STEP
#undef MD5_STEPS
#undef MD5_ONE
#undef MD5_TWO
#undef MD5_THREE
#undef SHA1_MORE
#undef SHA1_STEP
#undef SHA1_FIVE
#undef SHA1_WORD
#undef SHA256_S0
#undef SHA256_S1
#undef SHA256_R0
#undef SHA256_R1
#undef SHA256_MORE
#undef SHA256_STEP
#undef SHA256_EIGHT

/* ``count`` blocks of ``size`` bytes (a multiple of 64, so that the padding is a chunk of its own). Lanes that have no
   block read the first again, and are not given out. */
BH_TARGET static void BH(run)(int algorithm, const uint8_t *data, size_t size, size_t count, uint8_t *out) {
    const int words = bh_words[algorithm], big = algorithm != BH_MD5;
    const uint8_t *p[LANES];
    V s[8], w[16], pad[16];
    uint32_t last[16];
    size_t at, lane, take, next;
    int i;
    bh_padding(last, algorithm, size);
    for (i = 0; i < 16; i++) pad[i] = (V){0} + last[i];
    for (; count; count -= take, data += take * size, out += take * (size_t)words * 4) {
#if LANES > 1
        if (algorithm == BH_MD5 && count > LANES) {
            take = count < BH_GROUPS * LANES ? count : BH_GROUPS * LANES;
            BH(md5_side)(data, count * size, size, take, pad, out);
            continue;
        }
#endif
        take = count < LANES ? count : LANES;
        for (lane = 0; lane < LANES; lane++) p[lane] = data + (lane < take ? lane * size : 0);
        BH(start)(s, algorithm);
        next = LANES * size;
        for (at = 0; at <= size; at += 64) {
            if (at < size) {
                BH_LOAD(w, p);
                for (lane = 0; lane < LANES; lane++, next += 64) {
                    p[lane] += 64;
                    if (next < count * size) BH_AHEAD(data + next);
                }
                if (big) for (i = 0; i < 16; i++) w[i] = BH_SWAP(w[i]);
            } else memcpy(w, pad, sizeof w);
            if (algorithm == BH_MD5) BH(md5_one)(s, w);
            else if (algorithm == BH_SHA1) BH(sha1_one)(s, w);
            else BH(sha256_one)(s, w);
        }
        BH(give)(s, words, big, (int)take, out);
    }
}

#undef BH
#undef BH_TARGET
#undef V
#undef LANES
#undef BH_GROUPS
#undef ROL
#undef SHR
#undef SELECT
#undef XOR3
#undef MAJ
#undef ORNOT
#undef BH_LOAD
#undef BH_SWAP
