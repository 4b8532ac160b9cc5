// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the static libelf of elfutils 0.192 (Debian 13) forgot to bring along.
 *
 * Its objects call four functions of an internal library that is not installed
 * (elfutils bug 32293). They keep a search tree, whose root is the first field
 * of a structure that is libelf's own; a lock may follow it, and one thread
 * needs none. All are weak: where libelf brings them, those are used.
 */
#include <search.h>
#include <stddef.h>

struct search_tree {
	void *root;
};

typedef int (*comparison)(const void *, const void *);

/* Nothing but libelf calls them, so no header declares them. */
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
