/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From options to a supervisor whose children can be started: the configuration, the paths and
 * their locks (waiting as a standby while another limpet has them), shared memory, listening
 * sockets. Every start takes this one way, whatever an earlier limpet left.
 */
#ifndef SUPERVISOR_BOOT_H
#define SUPERVISOR_BOOT_H

#include "supervisor/supervisor.h"

/* boot_up was told to end while it was waiting. */
#define BOOT_LEFT 1

/*
 * 0; BOOT_LEFT; or an error, which is ERR_CONFIG where the file is at fault. boot_down follows in
 * any case.
 */
int boot_up(struct supervisor *supervisor, const struct options *options,
            struct errctx *reterr) MUST_USE;
void boot_down(struct supervisor *supervisor);

/* Makes what the children of an edition need; what there is already stays. */
int boot_provide(struct supervisor *supervisor, const struct edition *edition,
                 struct errctx *reterr) MUST_USE;

/* Whether the CPUs that limpet may use are others than before; then they are planned with anew. */
bool boot_look_at_cpus(struct supervisor *supervisor);

/* What children get from now on: the edition in force, and the CPUs it gives them. */
void boot_put_in_force(struct supervisor *supervisor);

#endif
