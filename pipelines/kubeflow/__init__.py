"""The pipeline on Kubeflow: uploaded, run, scheduled, and checked beforehand."""
