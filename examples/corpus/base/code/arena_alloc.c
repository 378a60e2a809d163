/* An arena allocator: many small objects, all released in one go. */
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
    struct block *older;
    size_t used, size;
    alignas(max_align_t) unsigned char bytes[];
};

struct arena { struct block *current; size_t block_size; };

static void *arena_take(struct arena *a, size_t n) {
    const size_t unit = alignof(max_align_t);
    if (n > (size_t)-1 - unit) return NULL;
    n = (n + unit - 1) / unit * unit;      /* keep later objects aligned */

    struct block *b = a->current;
    if (!b || b->size - b->used < n) {
        /* Oversized requests simply get a block of their own. */
        size_t size = n > a->block_size ? n : a->block_size;
        if (size > (size_t)-1 - sizeof *b || !(b = malloc(sizeof *b + size)))
            return NULL;
        *b = (struct block){ .older = a->current, .size = size };
        a->current = b;
    }
    void *p = b->bytes + b->used;
    b->used += n;
    return p;
}

static void arena_release(struct arena *a) {
    while (a->current) {
        struct block *older = a->current->older;
        free(a->current);
        a->current = older;
    }
}

struct stop { const char *name; struct stop *next; };

/* Prepend a bus stop; neither it nor its name has to be freed individually. */
static struct stop *add_stop(struct arena *a, struct stop *head, const char *name) {
    size_t n = strlen(name) + 1;
    struct stop *s = arena_take(a, sizeof *s);
    char *copy = arena_take(a, n);
    if (!s || !copy) return head;
    memcpy(copy, name, n);
    *s = (struct stop){ copy, head };
    return s;
}

int main(void) {
    struct arena a = { NULL, 64 };
    struct stop *line = NULL;
    const char *names[] = { "Depot", "Tannery", "Upper Weir", "Observatory Hill" };
    for (size_t i = 0; i < 4; i++) line = add_stop(&a, line, names[i]);
    for (struct stop *s = line; s; s = s->next) puts(s->name);

    int blocks = 0;
    for (struct block *b = a.current; b; b = b->older) blocks++;
    printf("%d blocks in use\n", blocks);
    arena_release(&a);
    return 0;
}
