"""What stages hand to each other: Arrow schemas, frozen configs, manifests, errors. Imports nothing of ours."""
