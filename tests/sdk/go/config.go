package main

import (
	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/util"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

type configRequest struct {
	Namespace string `json:"namespace"`
	DataID    string `json:"data_id"`
	Content   string `json:"content"`
	CasMd5    string `json:"cas_md5"`
	BetaIPs   string `json:"beta_ips"`
}

type configEvent struct {
	Event   string `json:"event"`
	DataID  string `json:"data_id"`
	Content any    `json:"content"`
}

func (j *judge) carryOutConfig(r *request) (any, error) {
	about := vo.ConfigParam{DataId: r.DataID, Group: r.Group}
	switch r.Op {
	case "connect_config":
		settings, err := settings(r, r.Namespace)
		if err != nil {
			return nil, err
		}
		j.config, err = clients.NewConfigClient(settings)
		return nil, err
	case "address":
		return util.LocalIP(), nil
	case "publish":
		about.Content, about.CasMd5, about.BetaIps = r.Content, r.CasMd5, r.BetaIPs
		return j.config.PublishConfig(about)
	case "get":
		content, err := j.config.GetConfig(about)
		return contentOrNothing(content), err
	case "search":
		page, err := j.config.SearchConfig(vo.SearchConfigParam{
			Search: "blur", DataId: "*" + r.DataID, Group: r.Group, PageNo: 1, PageSize: 10,
		})
		if err != nil {
			return nil, err
		}
		found := make([]string, 0, len(page.PageItems))
		for _, item := range page.PageItems {
			found = append(found, item.DataId)
		}
		return found, nil
	case "remove":
		return j.config.DeleteConfig(about)
	case "listen":
		about.OnChange = func(_, _, dataID, content string) {
			j.say(configEvent{"config", dataID, contentOrNothing(content)})
		}
		return nil, j.config.ListenConfig(about)
	}
	return nil, errUnsupported
}

// contentOrNothing: the SDK gives the empty text for what is not there; no config is empty.
func contentOrNothing(content string) any {
	if content == "" {
		return nil
	}
	return content
}
