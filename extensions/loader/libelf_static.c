// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions that a statically linked libelf lacks.
 *
 * The objects of elfutils 0.192 (Debian 13) call four functions of an internal
 * library that is not installed (elfutils bug 32293). They maintain a search tree.
 * Its root is the first field of a structure inside libelf; a lock may follow it,
 * which one thread does not need.
 *
 * The objects also compress and decompress sections with zstd, which no BPF object
 * needs. The library would be a tenth of the guest's image, so the functions here
 * just fail.
 *
 * All functions are weak: if libelf provides them, its own are used.
 */
#include <search.h>
#include <stddef.h>

struct search_tree {
	void *root;
};

typedef int (*comparison)(const void *, const void *);

/* Only libelf calls these functions, so no header declares them. */
void eu_search_tree_init(struct search_tree *tree);
void eu_search_tree_fini(struct search_tree *tree, void (*release)(void *));
void *eu_tsearch(const void *key, struct search_tree *tree, comparison compare);
void *eu_tfind(const void *key, struct search_tree *tree, comparison compare);
void *eu_tdelete(const void *key, struct search_tree *tree, comparison compare);

__attribute__((weak)) void eu_search_tree_init(struct search_tree *tree)
{
	tree->root = NULL;
}

__attribute__((weak)) void eu_search_tree_fini(struct search_tree *tree, void (*release)(void *))
{
	tdestroy(tree->root, release);
	tree->root = NULL;
}

__attribute__((weak)) void *eu_tsearch(const void *key, struct search_tree *tree,
				       comparison compare)
{
	return tsearch(key, &tree->root, compare);
}

__attribute__((weak)) void *eu_tfind(const void *key, struct search_tree *tree,
				     comparison compare)
{
	return tfind(key, &tree->root, compare);
}

__attribute__((weak)) void *eu_tdelete(const void *key, struct search_tree *tree,
				       comparison compare)
{
	return tdelete(key, &tree->root, compare);
}

size_t ZSTD_compressStream2(void *context, void *output, void *input, int end);
size_t ZSTD_decompress(void *to, size_t capacity, const void *from, size_t size);
void *ZSTD_createCCtx(void);
size_t ZSTD_freeCCtx(void *context);
unsigned int ZSTD_isError(size_t result);

__attribute__((weak)) size_t ZSTD_compressStream2(void *context, void *output, void *input,
						  int end)
{
	(void)context, (void)output, (void)input, (void)end;
	return (size_t)-1;
}

__attribute__((weak)) size_t ZSTD_decompress(void *to, size_t capacity, const void *from, size_t size)
{
	(void)to, (void)capacity, (void)from, (void)size;
	return (size_t)-1;
}

__attribute__((weak)) void *ZSTD_createCCtx(void)
{
	return NULL;
}

__attribute__((weak)) size_t ZSTD_freeCCtx(void *context)
{
	(void)context;
	return 0;
}

__attribute__((weak)) unsigned int ZSTD_isError(size_t result)
{
	return result == (size_t)-1;
}
