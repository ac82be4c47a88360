# Others may make files in a new folder of ProgramData: what is run or imported from there would be theirs.
New-Item -ItemType Directory -Path C:\ProgramData\citadelle -Force | Out-Null
& icacls.exe C:\ProgramData\citadelle /inheritance:r /grant:r '*S-1-5-32-544:(OI)(CI)F' '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-545:(OI)(CI)RX' /q | Out-Null
if ($LASTEXITCODE -ne 0) { throw "icacls: exit code $LASTEXITCODE" }
