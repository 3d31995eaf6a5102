"""Mistakes that somebody might make in the operator, one each: what the oracles must notice.

A mutant is its replacements, (file under operator/slipway, text, text instead), each text there exactly once. Where the
general search (search.py) would take long, it is said where to look first: a Python expression that gives scripts (text,
since this module must be read without importing Slipway). Where two parts guard against the same thing, both are broken:
one alone is no mistake that could be seen.
"""

from dataclasses import dataclass

Change = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    changes: tuple[Change, ...]
    hints: str = "[]"


ONCE, STATUS, QUEUE, INDEX = "reconcile/once.py", "reconcile/status.py", "reconcile/queue.py", "reconcile/index.py"
LOOP, MEMORY, GATE, LEASE = "reconcile/loop.py", "reconcile/memory.py", "reconcile/gate.py", "kube/lease.py"
CLIENT, REFUSALS, CONDITIONS = "kube/client.py", "reconcile/refusals.py", "plan/conditions.py"
PATIENCE = "reconcile/patience.py"
TRAIN, SERVE = "plan/training", "plan/inference"

VERSION = (STATUS, '            "resourceVersion": owner.resource_version,\n', "")

MUTANTS: tuple[Mutant, ...] = (
    # ---------------------------------------------------------------- what is done once
    Mutant(
        "a gang is made without a look at the pods that live",
        ((ONCE, "        if pods:\n", "        if pods and not pods:\n"),),
        hints='[Script("a pod lingers", s, "calm", (Silence("pods", 0.1, 120.0, False),)) for s in range(3)]',
    ),
    Mutant(
        "the owner's version is not confirmed before a create",
        ((ONCE, 'if metadata.get("resourceVersion") != owner.resource_version:', "if not metadata:"),),
        hints='[Script("gang restarts", 1, "calm", (Silence("trainingjobs.slipway.dev", 8.0, 90.0, False, who),'
        " Crash(k, False, 200.0)), 2) for who in (0, 1) for k in range(10, 22)]",
    ),
    Mutant(
        "another's gang of the name is taken for ours",
        (
            (ONCE, "if owner_uid(live) == owner.uid:", "if live:"),
            (f"{TRAIN}/unseen.py", "    return body is not None and owner_uid(body) !=", "    return False and owner_uid(body or {}) !="),
        ),
        hints="""[Script("the gang's name is taken, and stays so")]""",
    ),
    Mutant(
        "a gang that no watch tells of is not there",
        ((f"{TRAIN}/unseen.py", "in read if body and owner_uid(body) ==", "in read if not body and owner_uid(body or {}) =="),),
        hints='[Script("gang restarts", faults=(Meddling(12.5, "unlabel", "pytorchjobs.kubeflow.org"),))]',
    ),
    Mutant(
        "deletes by name, without uid",
        (
            (ONCE, 'if metadata.get("uid") != wanted.uid or metadata.get("deletionTimestamp"):', "if not metadata:"),
            (CLIENT, 'preconditions = {"uid": uid} | ({"resourceVersion": version} if version else {})', "preconditions: Obj = {}"),
        ),
        hints='[Script("the gang is deleted, its pods kept", 0, "calm", (Late(n, 14.0),)) for n in range(14, 34)]',
    ),
    # ---------------------------------------------------------------- status and events
    Mutant(
        "the status is written without a version",
        (VERSION,),
        hints='[Script("restarts run out", 0, "calm", (Late(n, 14.0),)) for n in range(8, 60)]',
    ),
    Mutant(
        "a status older than our own is planned from, and written without a version",
        (VERSION, (LOOP, "if self._is_behind_own_status(owner, memory):\n            return Again(STALE_SECONDS)", "if owner.deleting:\n            return Again(STALE_SECONDS)")),
        hints='[Script("gang restarts", s, "hostile") for s in range(6)]',
    ),
    Mutant(
        "the status is written though nothing changed",
        ((STATUS, "if wanted == without_nothing(owner.status) or _stored_as(memory.status, wanted, owner.status):", "if owner.deleting:"),),
    ),
    Mutant(
        "events go out before the status is written",
        (
            (
                STATUS,
                "        await self._send(key, owner, wanted, memory)\n"
                "        for event in dict.fromkeys(plan.events):\n"
                "            await self._events.record(key, owner, event)\n",
                "        for event in dict.fromkeys(plan.events):\n"
                "            await self._events.record(key, owner, event)\n"
                "        await self._send(key, owner, wanted, memory)\n",
            ),
        ),
        hints='[Script("two jobs", s, "calm", (Storm(t, 60.0, 409, 60),)) for s in range(5) for t in (0.5, 3.0)]',
    ),
    Mutant(
        "transition times follow every visit",
        ((CONDITIONS, "kept or rfc3339(now)", "rfc3339(now)"),),
    ),
    Mutant(
        "the status speaks of no generation",
        ((f"{TRAIN}/status.py", '"observedGeneration": owner.generation,\n        "attempt"', '"observedGeneration": 0,\n        "attempt"'),),
    ),
    # ---------------------------------------------------------------- the queue
    Mutant(
        "a wish to come back is forgotten",
        ((QUEUE, "if again.after_seconds is not None:", "if again is None:"),),
    ),
    Mutant(
        "a failed visit is not repeated",
        ((QUEUE, "        self.add_after(key, delay, later=key in self._later)\n", ""),),
        hints='[Script("no node has room", 0, "calm", (Answer(n, 500, False),)) for n in range(4, 12)]',
    ),
    Mutant(
        "what is added during its own visit is lost",
        ((QUEUE, "            self._again[key] = later and self._again.get(key, True)\n", "            return\n"),),
    ),
    Mutant(
        "a failure is repeated ever as fast",
        ((QUEUE, "2 ** min(failures - 1, EXPONENT_LIMIT)", "2 ** 0"),),
        hints='[Script("many at once", s, faults=(Storm(0.5, 300.0, 500, p),)) for s in range(3) for p in (85, 92, 97)]',
    ),
    Mutant(
        "what no watch tells of is looked at as often as at first",
        ((PATIENCE, "2 ** min(looks, DOUBLINGS_MAX)", "2 ** 0"),),
    ),
    Mutant(
        "the refusal of a pod is believed for good",
        (("reconcile/trial.py", "INVALID_SECONDS if verdict.invalid else REFUSAL_SECONDS", "math.inf"),),
    ),
    Mutant(
        "what was refused is never sent again",
        ((REFUSALS, "known.intent == intent and now < known.due - EARLY_SECONDS", "known.intent == intent"),),
    ),
    Mutant(
        "what is never told is never looked at again",
        ((LOOP, "untold_seconds(memory, self._index, now))", "None)"),),
        hints='[Script("the Deployment is deleted, its pods kept", 1, "calm",'
        ' (Silence("deployments.apps", 0.15, 90.0, True), Meddling(30.0, "delete", "deployments.apps"))),'
        ' Script("service starts", 1, "calm",'
        ' (Silence("deployments.apps", 0.15, 90.0, True), Meddling(30.0, "delete", "deployments.apps")))]',
    ),
    # ---------------------------------------------------------------- the index
    Mutant(
        "a listing buries nothing",
        ((INDEX, "and entry.stamp.uid not in uids", "and not identity.name"),),
        hints='[Script("service starts", 0, "calm", (Silence("services", 4.0, 30.0, True), Meddling(15.0, "delete", "services")))]',
    ),
    Mutant(
        "the dead return",
        ((INDEX, "if new.uid in self._graves and not older(self._graves[new.uid], than=new.resource_version):", 'if new.uid == "":'),),
        hints='[Script("gang restarts", s, "disorder") for s in range(12)]',
    ),
    Mutant(
        "an object goes back to an older state",
        ((INDEX, "return not older(new.resource_version, than=known.resource_version)", "return True"),),
        hints='[Script(n, s, "disorder") for s in range(4) for n in ("service starts", "gang restarts", "three replicas")]',
    ),
    Mutant(
        "memory is believed over the watch",
        ((MEMORY, "    if seen.digest == written.stamp.digest:\n", "    if seen.digest:\n"),),
    ),
    Mutant(
        "what is gone is believed to stand",
        ((MEMORY, "return fresh and not index.gone(written.stamp)", "return True"),),
    ),
    Mutant(
        "a kind that kopf overlooks is never noticed",
        (("reconcile/synced.py", "if overdue[resource.full] > MISSED_PROBES:", "if overdue is None:"),),
        hints='[Script("KEDA is installed late", faults=(Overlook("scaledobjects.keda.sh"),))]',
    ),
    # ---------------------------------------------------------------- the lease
    Mutant(
        "the lease is not looked at before a write",
        ((GATE, "if remaining <= 0:", "if remaining < 0:"), (GATE, "min(WRITE_SECONDS, remaining)", "WRITE_SECONDS")),
        hints='[Script(n, s, "calm", (Slow(0.3, 60.0, 15.0),)) for s in range(4) for n in ("many at once", "gang restarts")]',
    ),
    Mutant(
        "the lease counts from its answer",
        ((LEASE, "self._expiry = sent + ", "self._expiry = self._clock() + "),),
        hints='[Script("many at once", s, "calm", (Slow(0.2, 60.0, 4.0), Storm(2.0, 60.0, 503, 60))) for s in range(12)]',
    ),
    Mutant(
        "a lease is taken before it has lapsed",
        ((LEASE, "now >= seen.since + patience:", "now >= seen.since:"),),
        hints='[Script("many at once", s, "calm", (), 2) for s in range(3)]',
    ),
    Mutant(
        "a new leader visits nothing",
        (("app.py", "        count = resync.everything(self.index, self.queue.add)\n", "        count = 0\n"),),
        hints='[Script("no node has room", 0, "calm", (Crash(k, True),)) for k in range(4)]',
    ),
    Mutant(
        "a visit that met a closed gate is not repeated, nor a lapse noticed",
        (
            (LOOP, 'return Again(STALE_SECONDS), "success"', 'return Again(), "success"'),
            (LEASE, "meanwhile.\n            self._hand_over(on_gain, on_loss)\n", "meanwhile.\n"),
        ),
        hints='[Script(n, s, "calm", (Storm(at, 9.0, 503, 100, "leases"), Slow(at, 14.0, 2.0))) for s in range(3)'
        ' for at in (4.0, 26.0, 28.0, 30.0) for n in ("many at once", "gang restarts", "two jobs")]',
    ),
    # ---------------------------------------------------------------- jobs
    Mutant(
        "a gang of an earlier job is ours",
        ((f"{TRAIN}/situation.py", "if gang.owner_uid == observed.owner.uid and not gang.deleting]", "if not gang.deleting]"),),
        hints='[Script("made again when it was done", s, t) for s in range(3) for t in ("busy", "hostile")]',
    ),
    Mutant(
        "attempts go up by two",
        ((f"{TRAIN}/plan.py", "attempt=situation.attempt + 1,\n        history", "attempt=situation.attempt + 2,\n        history"),),
    ),
    Mutant(
        "leftovers are not waited for",
        ((f"{TRAIN}/starting.py", "if leftovers := cleanup.leftovers(situation):", "if leftovers := ():"),),
    ),
    Mutant(
        "an end is forgotten",
        ((f"{TRAIN}/plan.py", "if end := ended.recorded(situation) or ended.success(", "if end := ended.success("),),
    ),
    Mutant(
        "what burns after the end is left",
        ((f"{TRAIN}/plan.py", "delete=cleanup.after_the_end(situation, end),", "delete=cleanup.stale(situation),"),),
        hints='[Script("the deadline comes")]',
    ),
    Mutant(
        "a pod that has ended is deleted for one that runs",
        ((ONCE, 'if wanted.unless_ended and (live or {}).get("status", {}).get("phase") in ENDED:', "if wanted.ref is None:"),
         (ONCE, 'metadata["resourceVersion"] if wanted.unless_ended else ""', '""')),
        hints='[Script("many at once", s, "busy") for s in range(6)]',
    ),
    Mutant(
        "a failure counts before rank 0 and the gang are read",
        ((f"{TRAIN}/plan.py", "lost.to_read(situation) or _to_read_before_the_end(situation)", "lost.to_read(situation)"),),
        hints='[Script("leaf of a job: podTemplate.spec.tolerations", 397, "disorder"), Script("many at once", 389, "hostile"),'
        ' *(Script("job completes", s, "disorder") for s in range(20))]',
    ),
    Mutant(
        "one pod that runs is a gang that runs",
        ((f"{TRAIN}/running.py", "return len(gone_by) == situation.spec.nodes", "return len(gone_by) > 0"),),
    ),
    Mutant(
        "any pod's success is the job's",
        ((f"{TRAIN}/ended.py", "is_rank_0(situation, pod) and pod.phase", "pod.phase"),),
    ),
    Mutant(
        "the budget is one restart larger",
        ((f"{TRAIN}/rules.py", "past.restarts >= policy", "past.restarts > policy"),),
    ),
    Mutant(
        "a pod's last words must be JSON",
        ((f"{TRAIN}/termination.py", "except (ValueError, RecursionError):", "except RecursionError:"),),
    ),
    Mutant(
        "a rule's budget has no end",
        ((f"{TRAIN}/rules.py", "past.by_rule(place) >= cap", "past.by_rule(place) < 0"),),
        hints="""[Script("a rule's own budget runs out")]""",
    ),
    Mutant(
        "a place in the queue that is taken away is a failure",
        ((f"{TRAIN}/ended.py", "if situation.gang is None or situation.held:", "if situation.gang is None:"),
         (f"{TRAIN}/lost.py", "if situation.gang is None or situation.held or not situation.has_run:", "if situation.gang is None or not situation.has_run:"),
         (f"{TRAIN}/situation.py", 'same = all(each == status.get("admissionTime") for each in told) and ', "same = ")),
        hints='[Script("put back into the queue", s, t) for s in range(12) for t in ("disorder", "hostile")]',
    ),
    Mutant(
        "what is suspended is begun",
        ((f"{TRAIN}/starting.py", "if suspension.asked(situation) and (", "if situation.gang and ("),),
        hints='[Script("begun suspended")]',
    ),
    Mutant(
        "a suspended gang runs on",
        ((f"{TRAIN}/plan.py", "if situation.gang and suspension.asked(situation):", "if situation.gang is None and suspension.asked(situation):"),),
        hints='[Script("suspended while it runs")]',
    ),
    Mutant(
        "a job goes before its time",
        ((f"{TRAIN}/ttl.py", "ended + ttl - situation.now", "ended - situation.now"),),
        hints='[Script("deleted when its time has come")]',
    ),
    Mutant(
        "a deadline counts no attempt but the present one",
        ((f"{TRAIN}/deadlines.py", "return _recorded(situation) + over or None", "return over or None"),),
        hints='[Script("the deadline counts all attempts")]',
    ),
    Mutant(
        "a gang has no owner",
        ((f"{TRAIN}/gang.py", '            "ownerReferences": [owner_reference(situation.observed.owner)],\n', ""),),
    ),
    # ---------------------------------------------------------------- services
    Mutant(
        "names that are taken are not respected",
        ((f"{SERVE}/plan.py", "    if names.conflict:\n", "    if not names:\n"),),
    ),
    Mutant(
        "an unwanted scaler stays",
        ((f"{SERVE}/plan.py", "if child and not spec.scaling and", "if child and not child.uid and"),),
    ),
    Mutant(
        "a refused spec is carried out",
        ((f"{SERVE}/plan.py", "    if refusal := acceptance.refusal(spec, defaults, observed.accelerators):", "    if refusal := None:"),),
    ),
    Mutant(
        "any revision that answers makes it Ready",
        ((f"{SERVE}/replicas.py", "return any(pod.ready for pod in self.current)", "return any(pod.ready for pod in self.active)"),),
    ),
    Mutant(
        "no answer makes it Ready",
        ((f"{SERVE}/replicas.py", "return any(pod.ready for pod in self.current)", "return False"),),
    ),
    Mutant(
        "a service sleeps before it has answered",
        ((f"{SERVE}/plan.py", "least = max(1, scaling.min_replicas) if awake", "least = scaling.min_replicas if awake"),),
    ),
    Mutant(
        "a pause by another hand stays",
        ((f"{SERVE}/deployment.py", '        "paused": False,  # said', "        # said"),),
    ),
    Mutant(
        "children have no owner",
        ((f"{SERVE}/children.py", '        "ownerReferences": [reference],\n', ""),),
    ),
    Mutant(
        "old replicas go before new ones answer",
        ((f"{SERVE}/deployment.py", '0 if serving else "100%"', '"100%"'),),
    ),
)  # fmt: skip
