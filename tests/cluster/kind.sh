#!/usr/bin/env bash
# A cluster of kind for `make test-cluster`: Kubeflow Pipelines for one user, KServe in Standard mode,
# a registry at localhost:5001, and Kubeflow's object store at the address that its pods know.
# Needs docker, kind 0.30 or newer, kubectl, helm, and sudo for one line in /etc/hosts.
set -euo pipefail

KUBERNETES=v1.34.0
PIPELINES=2.17.0
CERT_MANAGER=v1.17.0
KSERVE=v0.16.0

repository=$(cd "$(dirname "$0")/../.." && pwd)

docker run --detach --restart=always --publish 127.0.0.1:5001:5000 --name kind-registry registry:3
kind create cluster --name alsolike --image "kindest/node:$KUBERNETES"
docker network connect kind kind-registry
for node in $(kind get nodes --name alsolike); do
  hosts=/etc/containerd/certs.d/localhost:5001
  docker exec "$node" mkdir -p "$hosts"
  echo '[host."http://kind-registry:5000"]' | docker exec --interactive "$node" tee "$hosts/hosts.toml"
done

manifests=github.com/kubeflow/pipelines/manifests/kustomize
kubectl apply --kustomize "$manifests/cluster-scoped-resources?ref=$PIPELINES"
kubectl wait --for=condition=established crd/applications.app.k8s.io --timeout=60s
kubectl apply --kustomize "$manifests/env/platform-agnostic?ref=$PIPELINES"

helm install cert-manager cert-manager --repo https://charts.jetstack.io --version "$CERT_MANAGER" \
  --namespace cert-manager --create-namespace --set crds.enabled=true --wait
helm install kserve-crd oci://ghcr.io/kserve/charts/kserve-crd --version "$KSERVE" \
  --namespace kserve --create-namespace --wait
helm install kserve oci://ghcr.io/kserve/charts/kserve --version "$KSERVE" \
  --namespace kserve --set-string kserve.controller.deploymentMode=Standard --wait

kubectl apply --namespace kubeflow --kustomize "$repository/pipelines/manifests"
kubectl create secret generic alsolike-s3 --namespace kubeflow \
  --from-literal=AWS_ACCESS_KEY_ID=minio --from-literal=AWS_SECRET_ACCESS_KEY=minio123
kubectl annotate secret alsolike-s3 --namespace kubeflow serving.kserve.io/s3-region=us-east-1 \
  serving.kserve.io/s3-endpoint=seaweedfs.kubeflow:8333 serving.kserve.io/s3-usehttps=0
kubectl wait --namespace kubeflow --for=condition=available deployment --all --timeout=900s

echo "127.0.0.1 seaweedfs.kubeflow" | sudo tee --append /etc/hosts
# A port-forward ends with its pod, or when a connection breaks.
nohup sh -c 'while sleep 1; do kubectl port-forward --namespace kubeflow service/seaweedfs 8333; done' \
  >port-forward.log 2>&1 &
