"""The pipelines on Kubeflow: upload, runs, schedules, and checks beforehand."""
