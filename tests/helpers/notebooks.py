"""A notebook executed by the interpreter that runs the tests, whatever kernels are installed."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient


class ThisInterpreter(KernelSpecManager):
    """Knows one kernel."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")


class ThisKernel(AsyncKernelManager):
    """Starts that kernel."""

    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return ThisInterpreter()


def execute(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs, executed in a folder."""
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        kernel_manager_class=ThisKernel,
        resources={"metadata": {"path": folder}},
    )
    return client.execute()


def texts(notebook: nbformat.NotebookNode) -> list[str]:
    """All text of the outputs, in order: streams, and results in their plain form."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs]


def results(notebook: nbformat.NotebookNode) -> dict[str, dict[str, str]]:
    """First line of a cell -> its result by kind, as text/html."""
    return {
        cell.source.splitlines()[0]: output.data
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "execute_result"
    }
