unit_test(buf base)
unit_test(backoff base)
unit_test(timestamp base)
