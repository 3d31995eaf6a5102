// The PyTorchJob controller of training-operator 1.8.1, taken from its own module, under a main of ours.
//
// The released main leaves client-go's limit of 20 requests a second where it is and has no flag for it, so beside
// another operator it shows that number and nothing else. This one lifts the limit. It also leaves out the webhooks
// and their certificates, which need a Service that reaches this process. Nothing but benchmarks runs it.
package main

import (
	"flag"
	"os"

	kubeflow "github.com/kubeflow/training-operator/pkg/apis/kubeflow.org/v1"
	"github.com/kubeflow/training-operator/pkg/controller.v1/common"
	"github.com/kubeflow/training-operator/pkg/controller.v1/pytorch"
	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	schedulerplugins "sigs.k8s.io/scheduler-plugins/apis/scheduling/v1alpha1"
	volcano "volcano.sh/apis/pkg/apis/scheduling/v1beta1"
)

func main() {
	metrics := flag.String("metrics-bind-address", ":8080", "where metrics are served")
	threads := flag.Int("controller-threads", 1, "reconciles at once, as in the released program")
	qps := flag.Float64("qps", 1000, "requests a second of each client; the released program has 20")
	flag.Parse()
	// Errors only: the released main logs each step in development mode, which would be measured too.
	ctrl.SetLogger(zap.New(zap.Level(zapcore.ErrorLevel)))

	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, kubeflow.AddToScheme, volcano.AddToScheme, schedulerplugins.AddToScheme,
	} {
		utilruntime.Must(add(scheme))
	}
	config := ctrl.GetConfigOrDie()
	config.QPS, config.Burst = float32(*qps), int(2**qps)
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Metrics:                metricsserver.Options{BindAddress: *metrics},
		HealthProbeBindAddress: "0",
	})
	utilruntime.Must(err)
	reconciler := pytorch.NewReconciler(manager, common.GenNonGangSchedulerSetupFunc())
	utilruntime.Must(reconciler.SetupWithManager(manager, *threads))
	if err := manager.Start(ctrl.SetupSignalHandler()); err != nil {
		ctrl.Log.Error(err, "the manager has ended")
		os.Exit(1)
	}
}
