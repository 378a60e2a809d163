/* Byte-oriented run-length coding that never grows much on random data.
 *
 * A control byte c is followed either by c + 1 literal bytes (c < 128), or by
 * a single byte that is to be repeated c - 125 times (c >= 128, so 3..130).
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { MAX_LITERAL = 128, MIN_RUN = 3, MAX_RUN = 130 };

static size_t run_at(const unsigned char *p, size_t left) {
    size_t n = 1;
    while (n < left && n < MAX_RUN && p[n] == p[0]) n++;
    return n;
}

/* `out` must have room for n + n / 128 + 1 bytes. Returns the coded length. */
static size_t encode(const unsigned char *in, size_t n, unsigned char *out) {
    size_t i = 0, o = 0;
    while (i < n) {
        size_t run = run_at(in + i, n - i);
        if (run >= MIN_RUN) {
            out[o++] = (unsigned char)(run + 125);
            out[o++] = in[i];
            i += run;
            continue;
        }
        size_t start = i;
        while (i < n && i - start < MAX_LITERAL && run_at(in + i, n - i) < MIN_RUN) i++;
        out[o++] = (unsigned char)(i - start - 1);
        memcpy(out + o, in + start, i - start);
        o += i - start;
    }
    return o;
}

/* Returns the decoded length, or -1 when the input is cut off or too long. */
static long decode(const unsigned char *in, size_t n, unsigned char *out, size_t room) {
    size_t i = 0, o = 0;
    while (i < n) {
        unsigned c = in[i++];
        size_t count = c < 128 ? c + 1 : c - 125;
        size_t needed = c < 128 ? count : 1;
        if (n - i < needed || room - o < count) return -1;
        if (c < 128) memcpy(out + o, in + i, count);
        else memset(out + o, in[i], count);
        i += needed;
        o += count;
    }
    return (long)o;
}

int main(void) {
    const char *picture = "........##....########.......ab..............................";
    unsigned char packed[128], back[128];
    size_t n = strlen(picture);
    size_t m = encode((const unsigned char *)picture, n, packed);
    long k = decode(packed, m, back, sizeof back);
    assert(k == (long)n && memcmp(back, picture, n) == 0);
    assert(decode(packed, m - 1, back, sizeof back) == -1);
    printf("%zu bytes became %zu\n", n, m);
    return 0;
}
