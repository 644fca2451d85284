"""What providers see in Kibana: written once here, emitted in its two formats, imported."""
