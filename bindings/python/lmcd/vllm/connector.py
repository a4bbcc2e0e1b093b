"""`LmcdConnector`, the class that vLLM loads: each call goes to the half that it is for."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from lmcd.vllm import versions
from lmcd.vllm.events import Events
from lmcd.vllm.fingerprint import adapter_digest, describe
from lmcd.vllm.geometry import Refused, geometry_of
from lmcd.vllm.link import Link
from lmcd.vllm.messages import Facts, Orders, Report
from lmcd.vllm.metrics import LmcdMetrics, LmcdStats
from lmcd.vllm.options import Options
from lmcd.vllm.scheduler import Scheduler
from lmcd.vllm.versions import KVConnectorBase_V1, KVConnectorRole, SupportsHMA
from lmcd.vllm.worker import Worker

if TYPE_CHECKING:
    from vllm.config import VllmConfig
    from vllm.forward_context import ForwardContext
    from vllm.v1.core.block_pool import BlockPool
    from vllm.v1.core.kv_cache_manager import KVCacheBlocks
    from vllm.v1.core.sched.output import SchedulerOutput
    from vllm.v1.kv_cache_interface import KVCacheConfig
    from vllm.v1.outputs import KVConnectorOutput
    from vllm.v1.request import Request

logger = logging.getLogger("vllm.lmcd")

_DEFAULT_CHUNK_TOKENS = 256


class Spaces:
    """The namespaces of an engine: one for the model alone, one for each adapter's content.

    An adapter's files are digested in the background; its requests miss until that is done.
    """

    def __init__(self) -> None:
        self._base: str | None = None
        self._epoch = ""
        self._digests: dict[str, Future[str]] = {}
        self._reader = ThreadPoolExecutor(1, "lmcd-digest")

    def set_base(self, description: str) -> None:
        """Say what the model's own namespace is."""
        self._base = description

    def begin_epoch(self) -> None:
        """Leave behind what this engine has stored so far; others keep it."""
        self._epoch = f"\nepoch={secrets.token_hex(8)}"

    def of(self, request: Request) -> str | None:
        """Return the namespace of a request; None while it is not known."""
        if self._base is None:
            return None
        adapter = request.lora_request
        if adapter is None:
            return self._base + self._epoch
        digest = self._digests.get(adapter.lora_path)
        if digest is None:
            digest = self._reader.submit(adapter_digest, adapter.lora_path)
            self._digests[adapter.lora_path] = digest
        if not digest.done() or digest.exception() is not None:
            return None
        return f"{self._base}\nadapter={digest.result()}{self._epoch}"

    def close(self) -> None:
        """End the background work."""
        self._reader.shutdown(wait=False, cancel_futures=True)


class LmcdConnector(KVConnectorBase_V1, SupportsHMA):
    """Keeps a vLLM engine's KV in the lmcd daemon of its host.

    **Source**: vllm/distributed/kv_transfer/kv_connector/v1/base.py says who calls what, when.
    """

    def __init__(
        self, vllm_config: VllmConfig, role: KVConnectorRole, kv_cache_config: KVCacheConfig
    ) -> None:
        super().__init__(vllm_config, role, kv_cache_config)
        transfer = vllm_config.kv_transfer_config
        assert transfer is not None
        if (reason := versions.refusal()) is not None:
            raise Refused(reason)
        self._options = Options.of(transfer.kv_connector_extra_config)
        # The daemon's chunk size is not asked for: an engine may start before it, and what it
        # stores must not depend on that.
        if self._options.transfer_mode == "daemon_driven" or self._options.kv_shm == "on":
            raise Refused("lmcd.transfer_mode daemon_driven is not served yet: use engine_driven")
        self._geometry = geometry_of(
            vllm_config, kv_cache_config, self._options.chunk_size or _DEFAULT_CHUNK_TOKENS
        )
        self._scheduler: Scheduler | None = None
        self._worker: Worker | None = None
        self._events: Events | None = None
        self._spaces = Spaces()
        self._orders = Orders()
        if role == KVConnectorRole.SCHEDULER:
            self._scheduler = self._make_scheduler(transfer)
        else:
            rank = vllm_config.parallel_config.rank
            self._worker = Worker(vllm_config, kv_cache_config, self._geometry, self._options, rank)

    def _make_scheduler(self, transfer: Any) -> Scheduler:
        if transfer.kv_load_failure_policy != "recompute":
            # Read by the engine after this: a lost lease costs time, never a request.
            transfer.kv_load_failure_policy = "recompute"
            logger.info("lmcd: kv_load_failure_policy is set to recompute")
        link = Link(
            self._options,
            "vllm scheduler",
            self._geometry.namespace_groups(),
            self._geometry.rank_count,
        )
        logger.info(
            "lmcd: engine_driven, socket %s, chunks of %d tokens",
            self._options.socket or "of the environment",
            self._geometry.chunk_tokens,
        )
        kv_events = self._vllm_config.kv_events_config
        if kv_events is not None and kv_events.enable_kv_cache_events:
            self._events = Events(self._options, link.named, self._geometry.chunk_tokens)
        return Scheduler(
            self._geometry,
            link,
            self._spaces.of,
            loads=transfer.is_kv_consumer,
            saves=transfer.is_kv_producer,
            save_decode=self._options.save_decode_cache,
        )

    # A hit comes from the host's memory; there are no tiers yet.
    _cache_hit_source = versions.HOST_MEMORY

    @property
    def requires_kv_delivery(self) -> bool:
        """Say that a save may be dropped: this is a cache."""
        return False

    # -- Observability -----------------------------------------------------------------------

    def get_kv_connector_stats(self) -> LmcdStats | None:
        """Return what this half has counted since the last call."""
        half = self._worker or self._scheduler
        assert half is not None
        counts = half.statistics.take()
        return LmcdStats(data=counts) if counts else None

    def take_events(self) -> Iterable[Any]:
        """Return what lmcd has stored and forgotten since the last call, as vLLM's events."""
        return () if self._events is None else self._events.take()

    @classmethod
    def build_kv_connector_stats(cls, data: dict[str, Any] | None = None) -> LmcdStats:
        """Make counts again of what was sent."""
        return LmcdStats(data=data or {})

    @classmethod
    def build_prom_metrics(
        cls,
        vllm_config: VllmConfig,
        metric_types: dict[Any, Any],
        labelnames: list[str],
        per_engine_labelvalues: dict[int, list[object]],
    ) -> LmcdMetrics:
        """Make the Prometheus counters."""
        return LmcdMetrics(vllm_config, metric_types, labelnames, per_engine_labelvalues)

    # -- The worker half ---------------------------------------------------------------------

    def register_kv_caches(self, kv_caches: dict[str, Any]) -> None:
        """Take note of the engine's KV."""
        assert self._worker is not None
        self._worker.register(kv_caches)

    def get_handshake_metadata(self) -> Facts | None:
        """Tell the scheduler half how the pages look."""
        assert self._worker is not None
        return self._worker.facts()

    def bind_connector_metadata(self, connector_metadata: Any) -> None:
        """Begin a step: its loads start before the model runs."""
        super().bind_connector_metadata(connector_metadata)
        assert self._worker is not None
        if isinstance(connector_metadata, Orders):
            self._orders = connector_metadata
            self._worker.begin(connector_metadata)

    def start_load_kv(self, forward_context: ForwardContext, **kwargs: Any) -> None:
        """Do nothing: loads have started."""

    def wait_for_layer_load(self, layer_name: str) -> None:
        """Do nothing: a request runs when all of its load is there."""

    def save_kv_layer(
        self, layer_name: str, kv_layer: Any, attn_metadata: Any, **kwargs: Any
    ) -> None:
        """Do nothing: chunks are saved whole, after the step."""

    def wait_for_save(self) -> None:
        """Hand the step's saves over; its blocks stay held until they are done."""
        assert self._worker is not None
        self._worker.hand_over_saves(self._orders)

    def get_transfer_results(self, finished_req_ids: set[str]) -> Any:
        """Return the loads that ended and those of them that failed."""
        assert self._worker is not None
        ended, failed = self._worker.take_loads(self._orders)
        return versions.KVConnectorTransferResults(finished_recving=ended, failed_recving=failed)

    def build_connector_worker_meta(self) -> Report | None:
        """Return what the scheduler half should know."""
        assert self._worker is not None
        return self._worker.report()

    # -- The scheduler half ------------------------------------------------------------------

    def set_xfer_handshake_metadata(self, metadata: dict[int, Any]) -> None:
        """Learn how the workers' pages look, and with it the whole fingerprint."""
        layouts = [facts.layout for _, facts in sorted(metadata.items())]
        description = describe(self._vllm_config, self._kv_cache_config, self._geometry, layouts)
        self._spaces.set_base(description)
        half = self._half()
        half.name_space(description)
        half.know_workers({rank: facts.incarnation for rank, facts in metadata.items()})
        logger.info("lmcd: fingerprint\n%s", description)

    def bind_gpu_block_pool(self, gpu_block_pool: BlockPool) -> None:
        """Take note of who gives out the engine's blocks."""
        self._half().bind(gpu_block_pool, partial(versions.request_block_ids, self))

    def get_num_new_matched_tokens(
        self, request: Request, num_computed_tokens: int
    ) -> tuple[int | None, bool]:
        """Return how many more tokens lmcd has, and that they come in the background."""
        tokens = self._half().match(request, num_computed_tokens)
        return tokens, tokens > 0

    def update_state_after_alloc(
        self, request: Request, blocks: KVCacheBlocks, num_external_tokens: int
    ) -> None:
        """Load into these blocks, or take back what was offered."""
        self._half().settle(request, blocks.get_block_ids(), num_external_tokens)

    def build_connector_meta(self, scheduler_output: SchedulerOutput) -> Orders:
        """Return what the workers are to do in this step."""
        return self._half().orders(scheduler_output)

    def update_connector_output(self, connector_output: KVConnectorOutput) -> None:
        """Learn what the workers have done."""
        half = self._half()
        half.end_loads(
            connector_output.finished_recving or (), connector_output.failed_recving or ()
        )
        if isinstance(connector_output.kv_connector_worker_meta, Report):
            half.take_report(connector_output.kv_connector_worker_meta)

    def request_finished(
        self, request: Request, block_ids: list[int]
    ) -> tuple[bool, dict[str, Any] | None]:
        """Forget a request; its blocks are held by reference where a copy needs them."""
        self._half().finish(request)
        return False, None

    def request_finished_all_groups(
        self, request: Request, block_ids: tuple[list[int], ...]
    ) -> tuple[bool, dict[str, Any] | None]:
        """Forget a request of several groups."""
        return self.request_finished(request, [])

    def has_pending_push_work(self) -> bool:
        """Tell whether copies run, whose end only a step brings here."""
        return self._half().has_jobs

    def has_pending_block_frees(self) -> bool:
        """Tell whether waiting frees blocks, so that nobody need be preempted."""
        return self._half().frees_blocks_soon

    def reset_cache(self) -> bool:
        """Use nothing that was stored before; others keep it."""
        self._spaces.begin_epoch()
        return True

    def shutdown(self) -> None:
        """End copies, then the session."""
        self._spaces.close()
        if self._events is not None:
            self._events.close()
        if self._worker is not None:
            self._worker.close()
        if self._scheduler is not None:
            self._scheduler.close()

    def _half(self) -> Scheduler:
        assert self._scheduler is not None
        return self._scheduler
