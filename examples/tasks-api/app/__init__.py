"""The sample API that preview-agent deploys."""
