"""The vLLM connector: `--kv-transfer-config` with `"kv_connector_module_path": "lmcd.vllm"`."""

from lmcd.vllm.connector import LmcdConnector

__all__ = ["LmcdConnector"]
