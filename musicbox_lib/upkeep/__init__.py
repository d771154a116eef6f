"""What a lake needs weekly: fewer files, old ones gone, days and models past their time gone."""
