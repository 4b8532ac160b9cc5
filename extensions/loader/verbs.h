/* SPDX-License-Identifier: GPL-2.0-only */
/* The verbs of `kextload serve`. */
#ifndef KEXT_VERBS_H
#define KEXT_VERBS_H

#include "handle.h"

/* Each verb adds to an answer that the caller has begun and sends; `fail` replaces it. */
void verb_load(struct loader *loader, const struct command *command, struct json *answer);
void verb_unload(struct loader *loader, const struct command *command, struct json *answer);
void verb_list(struct loader *loader, const struct command *command, struct json *answer);
void verb_attach(struct loader *loader, const struct command *command, struct json *answer);
void verb_detach(struct loader *loader, const struct command *command, struct json *answer);
void verb_run(struct loader *loader, const struct command *command, struct json *answer);
void verb_read(struct loader *loader, const struct command *command, struct json *answer);
void verb_write(struct loader *loader, const struct command *command, struct json *answer);
void verb_stats(struct loader *loader, const struct command *command, struct json *answer);
void verb_pin(struct loader *loader, const struct command *command, struct json *answer);
void verb_unpin(struct loader *loader, const struct command *command, struct json *answer);
void verb_inventory(struct loader *loader, const struct command *command, struct json *answer);

#endif
