/* graphdb.h: entities, where they are mentioned, and what is said between them, in the store's
 * database. */
#ifndef INDEX_GRAPHDB_H
#define INDEX_GRAPHDB_H
#include "know/index/index.h"

/* Makes the tables when there are none; writers only. */
enum sooth_status graphdb_ready(struct store *s, struct sooth_error *err);
/* True when the store has a graph. */
bool graphdb_there(struct store *s);

struct graphdb_fact {
    const char *subject, *relation, *object; /* names as they stand in the text */
};
/* One passage's entities (names) and facts, in place of what it had; inside a transaction. */
enum sooth_status graphdb_passage(struct store *s, int64_t chunk, const char *const *entities,
                                  size_t n_entities, const struct graphdb_fact *facts,
                                  size_t n_facts, struct sooth_error *err);
typedef bool graphdb_chunk_fn(void *user, int64_t chunk);
/* Passages that the graph has not read yet. */
enum sooth_status graphdb_unread(struct store *s, graphdb_chunk_fn *fn, void *user,
                                 struct sooth_error *err);
struct graphdb_counts {
    size_t entities, mentions, facts, passages;
};
enum sooth_status graphdb_count(struct store *s, struct graphdb_counts *out,
                                struct sooth_error *err);

struct graphdb_entity {
    int64_t id;
    const char *name, *norm;
};
typedef bool graphdb_entity_fn(void *user, const struct graphdb_entity *e);
enum sooth_status graphdb_entities(struct store *s, graphdb_entity_fn *fn, void *user,
                                   struct sooth_error *err);
/* entity, chunk and how often; and subject, object of each fact. */
typedef bool graphdb_edge_fn(void *user, int64_t a, int64_t b, double weight);
enum sooth_status graphdb_mentions(struct store *s, graphdb_edge_fn *fn, void *user,
                                   struct sooth_error *err);
enum sooth_status graphdb_links(struct store *s, graphdb_edge_fn *fn, void *user,
                                struct sooth_error *err);
/* Facts of one entity, both ways. */
typedef bool graphdb_fact_fn(void *user, const struct graphdb_fact *f, int64_t chunk);
enum sooth_status graphdb_facts(struct store *s, int64_t entity, graphdb_fact_fn *fn, void *user,
                                struct sooth_error *err);
/* A name as entities are compared: NFKC, small letters, articles off, blanks single. */
bool graphdb_norm(const char *name, size_t len, struct buf *out);
#endif
