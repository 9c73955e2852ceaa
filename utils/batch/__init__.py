"""Many runs: the run ledger, papermill in Dask workers, the pipeline and its report."""

from utils.batch.run_folder import RunFolder

__all__ = ["RunFolder"]
