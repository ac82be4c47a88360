# Programs that failed are failures of their sections; the look itself has succeeded.
$global:LASTEXITCODE = 0
[ordered]@{
    format       = 1
    milliseconds = [int]$watch.ElapsedMilliseconds
    sections     = $sections
    registry     = $registry
    errors       = $errors
}
