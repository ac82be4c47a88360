# Microsoft Defender: what it reports about itself.
Body 'Get-MpComputerStatus' {
    param($Bound, $Cmdlet)
    $values = [ordered]@{}
    $found = (Get-DoubleState).defender
    foreach ($property in $found.PSObject.Properties) {
        # Dates that nobody set are those of a fresh signature.
        $values[$property.Name] = if ($property.Name -like '*LastUpdated' -and $null -eq $property.Value) {
            [DateTime]::Now.AddHours(-6)
        } else { $property.Value }
    }
    New-DoubleCim 'root/microsoft/windows/defender' 'MSFT_MpComputerStatus' $values
}
