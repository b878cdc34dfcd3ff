"""Stands in for captum in the tests, which install nothing; as much of it as the validation asks for."""
