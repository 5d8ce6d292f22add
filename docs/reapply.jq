# From a list of objects to one that can be applied again: without what the API server and the operator wrote, and with the
# time since when each object is there, so that a restored ledger takes it for as old as it is.
.items |= map(
  (.metadata.annotations // {}) as $annotations
  | [$annotations["payplane.io/asked-since"], .metadata.creationTimestamp | values] as $times
  | {
      apiVersion,
      kind,
      metadata: (
        (.metadata | {name, namespace, labels} | with_entries(select(.value != null)))
        + {
            annotations: (
              ($annotations | del(.["kubectl.kubernetes.io/last-applied-configuration"]))
              + {"payplane.io/asked-since": ($times | min)}
            )
          }
      ),
      spec
    }
)
