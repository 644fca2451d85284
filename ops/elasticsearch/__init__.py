"""Who may do what in Elasticsearch and Kibana: as little as each of them needs."""
