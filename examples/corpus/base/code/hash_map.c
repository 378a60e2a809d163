/* A string-to-int map with open addressing and linear probing. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot { char *key; int value; };
struct map { struct slot *slots; size_t cap, used; };   /* cap: power of two */

static size_t scramble(const char *s) {
    uint32_t h = 17;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 0x9E3779B1u;
    return h ^ (h >> 15);
}

/* The slot that holds the key, or the empty one where it would belong. */
static struct slot *find(const struct map *m, const char *key) {
    size_t i = scramble(key) & (m->cap - 1);
    while (m->slots[i].key && strcmp(m->slots[i].key, key) != 0)
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

static int grow(struct map *m) {
    struct map bigger = { NULL, m->cap ? m->cap * 2 : 8, m->used };
    bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots) return -1;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].key) *find(&bigger, m->slots[i].key) = m->slots[i];
    free(m->slots);
    *m = bigger;
    return 0;
}

/* Returns a pointer to the value, adding a zero entry first if necessary.
 * The pointer stays valid only until the next call. NULL: out of memory. */
static int *map_at(struct map *m, const char *key) {
    if (m->used * 4 >= m->cap * 3 && grow(m) != 0) return NULL;
    struct slot *s = find(m, key);
    if (!s->key) {
        size_t n = strlen(key) + 1;
        if (!(s->key = malloc(n))) return NULL;
        memcpy(s->key, key, n);
        m->used++;
    }
    return &s->value;
}

static void map_free(struct map *m) {
    for (size_t i = 0; i < m->cap; i++) free(m->slots[i].key);
    free(m->slots);
}

int main(void) {
    const char *catch[] = { "cod", "ling", "cod", "hake", "cod", "ling" };
    struct map m = { NULL, 0, 0 };
    for (size_t i = 0; i < sizeof catch / sizeof *catch; i++) {
        int *count = map_at(&m, catch[i]);
        if (!count) return EXIT_FAILURE;
        ++*count;
    }
    for (size_t i = 0; i < m.cap; i++)
        if (m.slots[i].key) printf("%-5s %d\n", m.slots[i].key, m.slots[i].value);
    map_free(&m);
    return EXIT_SUCCESS;
}
