"""`shap.KernelExplainer` in a process of its own, as the other peers are."""

from benchmarks.peers.shap_peers import kernel
from benchmarks.peers.worker import work

if __name__ == "__main__":
    work(kernel, "shap")
