// Command judge is an unmodified nacos-sdk-go behind the judge protocol (tests/sdk/README.md).
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"net"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/config_client"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

// lineBytesMax bounds one request line; a batch of a few instances is far below it.
const lineBytesMax = 1 << 20

var errUnsupported = errors.New("unsupported")

type instance struct {
	IP       string            `json:"ip"`
	Port     uint64            `json:"port"`
	Cluster  string            `json:"cluster"`
	Metadata map[string]string `json:"metadata"`
}

type request struct {
	instance
	ID         int64      `json:"id"`
	Op         string     `json:"op"`
	Server     string     `json:"server"`
	Service    string     `json:"service"`
	Group      string     `json:"group"`
	Instances  []instance `json:"instances"`
	Page       uint32     `json:"page"`
	Size       uint32     `json:"size"`
	N          int        `json:"n"`
	Persistent bool       `json:"persistent"`
	configRequest
}

type answer struct {
	ID     int64  `json:"id"`
	OK     bool   `json:"ok"`
	Result any    `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
}

type host struct {
	IP       string            `json:"ip"`
	Port     uint64            `json:"port"`
	Cluster  string            `json:"cluster"`
	Healthy  bool              `json:"healthy"`
	Weight   float64           `json:"weight"`
	Metadata map[string]string `json:"metadata"`
}

type push struct {
	Event   string `json:"event"`
	Service string `json:"service"`
	Hosts   []host `json:"hosts"`
}

type judge struct {
	naming        naming_client.INamingClient
	config        config_client.IConfigClient
	subscriptions map[string]*vo.SubscribeParam
	writing       sync.Mutex
}

func main() {
	j := &judge{subscriptions: map[string]*vo.SubscribeParam{}}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, lineBytesMax)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			j.say(answer{Error: err.Error()})
			continue
		}
		result, err := j.carryOut(&r)
		if err != nil {
			j.say(answer{ID: r.ID, Error: err.Error()})
			continue
		}
		j.say(answer{ID: r.ID, OK: true, Result: result})
	}
	// The test is gone. Its instances must leave by the connection's end, as in a crash.
	os.Exit(0)
}

func (j *judge) say(message any) {
	j.writing.Lock()
	defer j.writing.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(message); err != nil {
		os.Exit(1)
	}
}

func (j *judge) carryOut(r *request) (any, error) {
	switch r.Op {
	case "connect":
		return nil, j.connect(r.Server)
	case "register":
		return done(j.naming.RegisterInstance(registration(r, r.instance)))
	case "batch_register":
		batch := vo.BatchRegisterInstanceParam{ServiceName: r.Service, GroupName: r.Group}
		for _, each := range r.Instances {
			batch.Instances = append(batch.Instances, registration(r, each))
		}
		return done(j.naming.BatchRegisterInstance(batch))
	case "deregister":
		return done(j.naming.DeregisterInstance(vo.DeregisterInstanceParam{
			Ip: r.IP, Port: r.Port, Cluster: r.Cluster, ServiceName: r.Service,
			GroupName: r.Group, Ephemeral: !r.Persistent,
		}))
	case "subscribe":
		return nil, j.subscribe(r)
	case "unsubscribe":
		return nil, j.naming.Unsubscribe(j.subscriptions[r.Group+"@@"+r.Service])
	case "query":
		found, err := j.naming.SelectAllInstances(
			vo.SelectAllInstancesParam{ServiceName: r.Service, GroupName: r.Group})
		return hosts(found), err
	case "select":
		found, err := j.naming.SelectInstances(vo.SelectInstancesParam{
			ServiceName: r.Service, GroupName: r.Group, HealthyOnly: true})
		return hosts(found), err
	case "list_services":
		page, err := j.list(r.Group, r.Page, r.Size)
		return map[string]any{"count": page.Count, "names": page.Doms}, err
	case "timed_unary":
		return j.timedUnary(r.N, r.Group)
	case "status":
		return map[string]bool{"up": j.naming.ServerHealthy()}, nil
	case "close":
		j.naming.CloseClient()
		return nil, nil
	}
	return j.carryOutConfig(r)
}

func (j *judge) connect(server string) error {
	settings, err := settings(server, "")
	if err != nil {
		return err
	}
	j.naming, err = clients.NewNamingClient(settings)
	return err
}

func settings(server, namespace string) (vo.NacosClientParam, error) {
	ip, portText, err := net.SplitHostPort(server)
	if err != nil {
		return vo.NacosClientParam{}, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	return vo.NacosClientParam{
		ClientConfig: constant.NewClientConfig(
			constant.WithCacheDir("cache"), constant.WithLogDir("log"),
			constant.WithLogLevel("error"), constant.WithNotLoadCacheAtStart(true),
			constant.WithUpdateCacheWhenEmpty(true), constant.WithDisableUseSnapShot(true),
			constant.WithNamespaceId(namespace)),
		ServerConfigs: []constant.ServerConfig{*constant.NewServerConfig(ip, port)},
	}, err
}

func (j *judge) subscribe(r *request) error {
	service := r.Service
	subscription := &vo.SubscribeParam{ServiceName: service, GroupName: r.Group,
		SubscribeCallback: func(found []model.Instance, err error) {
			if err == nil {
				j.say(push{Event: "push", Service: service, Hosts: hosts(found)})
			}
		}}
	j.subscriptions[r.Group+"@@"+service] = subscription
	return j.naming.Subscribe(subscription)
}

func (j *judge) list(group string, page, size uint32) (model.ServiceList, error) {
	return j.naming.GetAllServicesInfo(
		vo.GetAllServiceInfoParam{GroupName: group, PageNo: page, PageSize: size})
}

func (j *judge) timedUnary(calls int, group string) (any, error) {
	took := make([]time.Duration, calls)
	for call := range took {
		start := time.Now()
		if _, err := j.list(group, 1, 10); err != nil {
			return nil, err
		}
		took[call] = time.Since(start)
	}
	sort.Slice(took, func(a, b int) bool { return took[a] < took[b] })
	return map[string]int64{
		"p50_us": took[calls/2].Microseconds(), "p99_us": took[calls*99/100].Microseconds(),
	}, nil
}

func registration(r *request, from instance) vo.RegisterInstanceParam {
	return vo.RegisterInstanceParam{
		Ip: from.IP, Port: from.Port, Weight: 1, Enable: true, Healthy: true,
		Metadata: from.Metadata, ClusterName: from.Cluster, ServiceName: r.Service,
		GroupName: r.Group, Ephemeral: !r.Persistent,
	}
}

func hosts(found []model.Instance) []host {
	all := make([]host, 0, len(found))
	for _, each := range found {
		all = append(all, host{IP: each.Ip, Port: each.Port, Cluster: each.ClusterName,
			Healthy: each.Healthy, Weight: each.Weight, Metadata: each.Metadata})
	}
	return all
}

func done(accepted bool, err error) (any, error) {
	if err == nil && !accepted {
		err = errors.New("the SDK answered false")
	}
	return nil, err
}
