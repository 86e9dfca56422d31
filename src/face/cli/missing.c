/* missing.c: weak stand-ins while the rooms below are being built. */
#define SOOTH_MISSING 0
long sooth_add_status_name(void) __attribute__((weak));
long sooth_add_status_name(void) { return SOOTH_MISSING; }
long sooth_answer_release(void) __attribute__((weak));
long sooth_answer_release(void) { return SOOTH_MISSING; }
long sooth_ask(void) __attribute__((weak));
long sooth_ask(void) { return SOOTH_MISSING; }
long sooth_ask_options_init(void) __attribute__((weak));
long sooth_ask_options_init(void) { return SOOTH_MISSING; }
long sooth_bench_run(void) __attribute__((weak));
long sooth_bench_run(void) { return SOOTH_MISSING; }
long sooth_chat(void) __attribute__((weak));
long sooth_chat(void) { return SOOTH_MISSING; }
long sooth_check(void) __attribute__((weak));
long sooth_check(void) { return SOOTH_MISSING; }
long sooth_complete(void) __attribute__((weak));
long sooth_complete(void) { return SOOTH_MISSING; }
long sooth_convert(void) __attribute__((weak));
long sooth_convert(void) { return SOOTH_MISSING; }
long sooth_count_tokens(void) __attribute__((weak));
long sooth_count_tokens(void) { return SOOTH_MISSING; }
long sooth_detokenize(void) __attribute__((weak));
long sooth_detokenize(void) { return SOOTH_MISSING; }
long sooth_embed(void) __attribute__((weak));
long sooth_embed(void) { return SOOTH_MISSING; }
long sooth_embed_dim(void) __attribute__((weak));
long sooth_embed_dim(void) { return SOOTH_MISSING; }
long sooth_embed_limit(void) __attribute__((weak));
long sooth_embed_limit(void) { return SOOTH_MISSING; }
long sooth_embed_prefix(void) __attribute__((weak));
long sooth_embed_prefix(void) { return SOOTH_MISSING; }
long sooth_embed_tokens(void) __attribute__((weak));
long sooth_embed_tokens(void) { return SOOTH_MISSING; }
long sooth_file_meta(void) __attribute__((weak));
long sooth_file_meta(void) { return SOOTH_MISSING; }
long sooth_file_tensors(void) __attribute__((weak));
long sooth_file_tensors(void) { return SOOTH_MISSING; }
long sooth_free(void) __attribute__((weak));
long sooth_free(void) { return SOOTH_MISSING; }
long sooth_generate_options_init(void) __attribute__((weak));
long sooth_generate_options_init(void) { return SOOTH_MISSING; }
long sooth_generation_release(void) __attribute__((weak));
long sooth_generation_release(void) { return SOOTH_MISSING; }
long sooth_hits_release(void) __attribute__((weak));
long sooth_hits_release(void) { return SOOTH_MISSING; }
long sooth_kb_add(void) __attribute__((weak));
long sooth_kb_add(void) { return SOOTH_MISSING; }
long sooth_kb_add_bytes(void) __attribute__((weak));
long sooth_kb_add_bytes(void) { return SOOTH_MISSING; }
long sooth_kb_check(void) __attribute__((weak));
long sooth_kb_check(void) { return SOOTH_MISSING; }
long sooth_kb_close(void) __attribute__((weak));
long sooth_kb_close(void) { return SOOTH_MISSING; }
long sooth_kb_compact(void) __attribute__((weak));
long sooth_kb_compact(void) { return SOOTH_MISSING; }
long sooth_kb_docs(void) __attribute__((weak));
long sooth_kb_docs(void) { return SOOTH_MISSING; }
long sooth_kb_forget(void) __attribute__((weak));
long sooth_kb_forget(void) { return SOOTH_MISSING; }
long sooth_kb_info(void) __attribute__((weak));
long sooth_kb_info(void) { return SOOTH_MISSING; }
long sooth_kb_open(void) __attribute__((weak));
long sooth_kb_open(void) { return SOOTH_MISSING; }
long sooth_list(void) __attribute__((weak));
long sooth_list(void) { return SOOTH_MISSING; }
long sooth_list_tables(void) __attribute__((weak));
long sooth_list_tables(void) { return SOOTH_MISSING; }
long sooth_model_close(void) __attribute__((weak));
long sooth_model_close(void) { return SOOTH_MISSING; }
long sooth_model_find(void) __attribute__((weak));
long sooth_model_find(void) { return SOOTH_MISSING; }
long sooth_model_fingerprint(void) __attribute__((weak));
long sooth_model_fingerprint(void) { return SOOTH_MISSING; }
long sooth_model_info(void) __attribute__((weak));
long sooth_model_info(void) { return SOOTH_MISSING; }
long sooth_model_open(void) __attribute__((weak));
long sooth_model_open(void) { return SOOTH_MISSING; }
long sooth_perplexity(void) __attribute__((weak));
long sooth_perplexity(void) { return SOOTH_MISSING; }
long sooth_render(void) __attribute__((weak));
long sooth_render(void) { return SOOTH_MISSING; }
long sooth_rerank(void) __attribute__((weak));
long sooth_rerank(void) { return SOOTH_MISSING; }
long sooth_score(void) __attribute__((weak));
long sooth_score(void) { return SOOTH_MISSING; }
long sooth_search(void) __attribute__((weak));
long sooth_search(void) { return SOOTH_MISSING; }
long sooth_search_options_init(void) __attribute__((weak));
long sooth_search_options_init(void) { return SOOTH_MISSING; }
long sooth_session_free(void) __attribute__((weak));
long sooth_session_free(void) { return SOOTH_MISSING; }
long sooth_session_new(void) __attribute__((weak));
long sooth_session_new(void) { return SOOTH_MISSING; }
long sooth_token_vectors_release(void) __attribute__((weak));
long sooth_token_vectors_release(void) { return SOOTH_MISSING; }
long sooth_tokenize(void) __attribute__((weak));
long sooth_tokenize(void) { return SOOTH_MISSING; }
long sooth_tokenize_pair(void) __attribute__((weak));
long sooth_tokenize_pair(void) { return SOOTH_MISSING; }
long sooth_tokens_release(void) __attribute__((weak));
long sooth_tokens_release(void) { return SOOTH_MISSING; }
long sooth_verdict_name(void) __attribute__((weak));
long sooth_verdict_name(void) { return SOOTH_MISSING; }
long sooth_version(void) __attribute__((weak));
long sooth_version(void) { return SOOTH_MISSING; }
